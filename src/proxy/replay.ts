// A request body as it was sent, kept for a second try: bounded for each request and, by the byte budget, for all of them. When a bound is
// reached the copy is dropped, and the request cannot be sent again.
import type { ByteBudget } from "./budget.ts";

/** What a piece costs beside its bytes. */
const PIECE_BYTES = 128;

/** Takes the pieces of a body, in order. */
export interface BodyTarget {
  sendBody(buf: Buffer, start: number, end: number): void;
}

/** The copy of one request's body. */
export class Replay {
  /** True while nothing of the body is missing. */
  isWhole = true;
  readonly #budget: ByteBudget;
  readonly #limit: number;
  readonly #pieces: Buffer[] = [];
  #taken = 0;

  constructor(budget: ByteBudget, limit: number) {
    this.#budget = budget;
    this.#limit = limit;
  }

  /** Copies bytes [start, end) of `buf`. */
  keep(buf: Buffer, start: number, end: number): void {
    if (!this.isWhole) return;
    const cost = end - start + PIECE_BYTES;
    if (this.#taken + cost > this.#limit || !this.#budget.take(cost)) {
      this.drop();
      return;
    }
    this.#taken += cost;
    // A copy of its own, never written again: a connection that is behind may go on holding it.
    this.#pieces.push(Buffer.from(buf.subarray(start, end)));
  }

  /** Sends all that was kept. */
  sendTo(target: BodyTarget): void {
    for (const piece of this.#pieces) target.sendBody(piece, 0, piece.length);
  }

  /** Gives the bytes back; the body is not whole any more. */
  drop(): void {
    this.isWhole = false;
    this.#budget.give(this.#taken);
    this.#taken = 0;
    this.#pieces.length = 0;
  }
}
