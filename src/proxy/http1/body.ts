// [hot] Message bodies as a state machine over bytes: by length, chunked (with trailers), or until the connection closes.
// It hands on the payload only; framing is made anew by whoever sends it on (RFC 9112 6, 7.1).
import { CR, HEX, IS_VALUE, LF } from "../wire/bytes.ts";
import { ByteStore } from "../wire/bytestore.ts";
import type { Head } from "./head.ts";
import { HeadParser, KIND, PARSED, REFUSAL, type Refusal } from "./parse.ts";

export const BODY = { NONE: 0, LENGTH: 1, CHUNKED: 2, CLOSE: 3 } as const;

/** Bytes of all chunk extensions of one body. */
export const MAX_EXTENSION_BYTES = 16 * 1024;
/** Digits of a chunk size: 13 hex digits stay below 2^53. */
const MAX_SIZE_DIGITS = 13;

/** Takes the payload of a body. */
export interface BodySink {
  /** Payload bytes [start, end) of `buf`, valid only during the call. */
  onBody(buf: Buffer, start: number, end: number): void;
  /** The checked trailer fields of a chunked body; not called when there are none. */
  onTrailers(head: Head): void;
}

const C = { SIZE: 0, EXTENSION: 1, SIZE_LF: 2, DATA: 3, DATA_CR: 4, DATA_LF: 5, TRAILERS: 6 } as const;

/** Reads one body at a time. */
export class BodyReader {
  /** BODY of the message at hand. */
  kind: number = BODY.NONE;
  /** True once the whole body was read. A body until close is never done: its reader knows when the peer closes. */
  isDone = true;
  /** Set when framing is broken: nothing more may be read. */
  refused: Refusal | null = null;
  #left = 0;
  #state = 0;
  #digits = 0;
  #extension = 0;
  #trailers: HeadParser | null = null;
  #store: ByteStore | null = null;

  /** Bytes that are to come: exact by length, else 1 until it is done. */
  get expectedBytes(): number {
    if (this.isDone) return 0;
    return this.kind === BODY.LENGTH ? this.#left : 1;
  }

  /** Makes ready for a body of BODY `kind`; `length` is for BODY.LENGTH. */
  reset(kind: number, length: number): void {
    this.kind = kind;
    this.refused = null;
    this.isDone = kind === BODY.NONE || (kind === BODY.LENGTH && length === 0);
    this.#left = kind === BODY.LENGTH ? length : 0;
    this.#state = C.SIZE;
    this.#digits = 0;
    this.#extension = 0;
    this.#trailers = null;
    this.#store = null;
  }

  /** Reads bytes [start, end) and returns the position behind the last one that belongs to the body. */
  read(buf: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.isDone || start >= end) return start;
    if (this.kind === BODY.CHUNKED) return this.#chunked(buf, start, end, sink);
    if (this.kind === BODY.CLOSE) {
      sink.onBody(buf, start, end);
      return end;
    }
    const stop = Math.min(end, start + this.#left);
    this.#left -= stop - start;
    if (this.#left === 0) this.isDone = true;
    sink.onBody(buf, start, stop);
    return stop;
  }

  #chunked(buf: Buffer, start: number, end: number, sink: BodySink): number {
    let p = start;
    while (p < end) {
      if (this.#state === C.TRAILERS) return this.#trailer(buf, p, end, sink);
      if (this.#state === C.DATA) {
        const stop = Math.min(end, p + this.#left);
        this.#left -= stop - p;
        if (this.#left === 0) this.#state = C.DATA_CR;
        sink.onBody(buf, p, stop);
        p = stop;
        continue;
      }
      if (!this.#frame(buf[p++]!)) return p;
    }
    return p;
  }

  /** One byte of chunk framing; false when it is wrong. */
  #frame(byte: number): boolean {
    switch (this.#state) {
      case C.SIZE: {
        const digit = HEX[byte]!;
        if (digit < 16) {
          if (++this.#digits > MAX_SIZE_DIGITS) return this.#refuse(REFUSAL.chunk);
          this.#left = this.#left * 16 + digit;
          return true;
        }
        if (this.#digits === 0 || (byte !== CR && byte !== 0x3b)) return this.#refuse(REFUSAL.chunk);
        this.#state = byte === CR ? C.SIZE_LF : C.EXTENSION;
        return true;
      }
      case C.EXTENSION:
        if (byte === CR) this.#state = C.SIZE_LF;
        else if (IS_VALUE[byte] !== 1) return this.#refuse(REFUSAL.chunk);
        else if (++this.#extension > MAX_EXTENSION_BYTES) return this.#refuse(REFUSAL.chunkExtension);
        return true;
      case C.SIZE_LF:
        if (byte !== LF) return this.#refuse(REFUSAL.chunk);
        this.#state = this.#left === 0 ? C.TRAILERS : C.DATA;
        return true;
      case C.DATA_CR:
        if (byte !== CR) return this.#refuse(REFUSAL.chunk);
        this.#state = C.DATA_LF;
        return true;
      default:
        if (byte !== LF) return this.#refuse(REFUSAL.chunk);
        this.#digits = 0;
        this.#state = C.SIZE;
        return true;
    }
  }

  #trailer(buf: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.#trailers === null) {
      if (buf[start] === CR && start + 1 < end && buf[start + 1] === LF) {
        this.isDone = true;
        return start + 2;
      }
      this.#trailers = new HeadParser();
      this.#trailers.reset(KIND.TRAILERS);
    }
    const parser = this.#trailers;
    const store = this.#store;
    const storedBefore = store === null ? 0 : store.length;
    if (store !== null) store.append(buf, start, end);
    const result =
      store === null ? parser.run(buf, start, end) : parser.run(store.bytes, store.start, store.end);
    if (result === PARSED.MORE) {
      if (store === null) {
        this.#store = new ByteStore();
        this.#store.append(buf, start, end);
      }
      return end;
    }
    if (result === PARSED.REFUSED) {
      this.#refuse(parser.refused);
      return end;
    }
    this.isDone = true;
    // Not kept until the next body, which may never come.
    this.#trailers = null;
    this.#store = null;
    if (parser.head.fieldCount > 0) sink.onTrailers(parser.head);
    return start + parser.head.length - storedBefore;
  }

  #refuse(why: Refusal): false {
    this.refused = why;
    return false;
  }
}
