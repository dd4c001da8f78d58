// A request body as it was sent, kept for a second try: bounded for each request and, by the byte budget, for all of them. When a bound is
// reached the copy is dropped, and the request cannot be sent again. It is kept in read buffers, which go round: memory of its own for each
// body left the allocator with pages that it could not give back.

import type { ReadBuffers } from "../wire/buffers.ts";
import type { ByteBudget } from "./budget.ts";

/** Takes the pieces of a body, in order. */
export interface BodyTarget {
  sendBody(buf: Buffer, start: number, end: number): void;
}

/** What the copies of one event loop share. */
export interface ReplayContext {
  readonly budget: ByteBudget;
  readonly buffers: ReadBuffers;
}

/** Part of a body: the first `length` bytes of a buffer of that level. */
interface Block {
  readonly level: number;
  readonly buffer: Buffer;
  length: number;
}

/** The copy of one request's body. */
export class Replay {
  /** True while nothing of the body is missing. */
  isWhole = true;
  readonly #context: ReplayContext;
  readonly #limit: number;
  readonly #blocks: Block[] = [];
  #bytes = 0;
  /** What the budget counts: whole buffers. */
  #taken = 0;
  /** So many of the first blocks were sent: a connection that is behind may go on holding them. */
  #sent = 0;

  constructor(context: ReplayContext, limit: number) {
    this.#context = context;
    this.#limit = limit;
  }

  /** Copies bytes [start, end) of `buf`. */
  keep(buf: Buffer, start: number, end: number): void {
    if (!this.isWhole) return;
    this.#bytes += end - start;
    if (this.#bytes > this.#limit) {
      this.drop();
      return;
    }
    let p = start;
    while (p < end) {
      const block = this.#room(end - p);
      if (block === null) return;
      const count = Math.min(end - p, block.buffer.length - block.length);
      buf.copy(block.buffer, block.length, p, p + count);
      block.length += count;
      p += count;
    }
  }

  /** Sends all that was kept. */
  sendTo(target: BodyTarget): void {
    for (const { buffer, length } of this.#blocks) target.sendBody(buffer, 0, length);
    this.#sent = this.#blocks.length;
  }

  /** Gives the bytes back; the body is not whole any more. */
  drop(): void {
    this.isWhole = false;
    const { budget, buffers } = this.#context;
    budget.give(this.#taken);
    this.#taken = 0;
    for (const { level, buffer } of this.#blocks.slice(this.#sent)) buffers.give(level, buffer);
    this.#blocks.length = 0;
    this.#sent = 0;
  }

  /** A block that is not full; null: the budget is used up, and the copy is dropped. */
  #room(count: number): Block | null {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.length < last.buffer.length) return last;
    const { budget, buffers } = this.#context;
    const level = buffers.levelOf(count);
    const buffer = buffers.take(level);
    if (!budget.take(buffer.length)) {
      buffers.give(level, buffer);
      this.drop();
      return null;
    }
    this.#taken += buffer.length;
    const block = { level, buffer, length: 0 };
    this.#blocks.push(block);
    return block;
  }
}
