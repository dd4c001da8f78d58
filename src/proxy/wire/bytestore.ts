// Bytes that arrived before they could be used: an incomplete head, a pipelined request, a body whose upstream is not connected yet.
// Callers bound it by pausing the source.

import { writeDecimal } from "./bytes.ts";

const FIRST_BYTES = 1024;
const SMALL_BYTES = 24;
/** A larger buffer is not kept once it is empty: thousands of idle connections would each keep the largest head they ever had. */
const KEPT_BYTES = 8 * 1024;
/** Spare buffers that are kept, and the largest. */
const MAX_SPARE = 256;
const MAX_SPARE_BYTES = 4 * 1024;
const NOTHING = Buffer.alloc(0);

/** A growing buffer, filled at the end and emptied from the front. */
export class ByteStore {
  bytes: Buffer = NOTHING;
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }

  /** Copies bytes [start, end) of `buf` in. */
  append(buf: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (this.end + count > this.bytes.length) this.#grow(count);
    const { bytes, end: at } = this;
    // A few bytes are sooner copied one by one than by a call.
    if (count < SMALL_BYTES) for (let i = 0; i < count; i++) bytes[at + i] = buf[start + i]!;
    else if (buf instanceof Buffer) buf.copy(this.bytes, this.end, start, end);
    else this.bytes.set(buf.subarray(start, end), this.end);
    this.end += count;
  }

  /** Appends a constant. */
  text(text: Uint8Array): void {
    this.append(text, 0, text.length);
  }

  /** Appends a whole number in decimal digits. */
  decimal(value: number): void {
    if (this.end + 20 > this.bytes.length) this.#grow(20);
    this.end = writeDecimal(this.bytes, this.end, value);
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
  }

  /** Drops `count` bytes from the front. */
  consume(count: number): void {
    this.start += count;
    if (this.start >= this.end) this.release();
  }

  /** Empties it for a while: a large buffer goes. */
  release(): void {
    this.clear();
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.alloc(0);
  }

  /** Gives the memory away: the bytes in use stay valid for whoever still refers to them. */
  detach(): void {
    const rest = this.bytes.subarray(this.start, this.end);
    this.bytes = NOTHING;
    this.start = 0;
    this.end = 0;
    if (rest.length > 0) this.append(rest, 0, rest.length);
  }

  /** Begins empty, in memory that another store gave back where there is some. */
  takeFrom(spare: Buffer[]): void {
    if (this.bytes.length === 0) this.bytes = spare.pop() ?? this.bytes;
    this.clear();
  }

  /** Is empty and gives its memory back, as far as `spare` is not full of it. Nobody refers to its bytes any more. */
  giveTo(spare: Buffer[]): void {
    this.clear();
    if (this.bytes.length === 0) return;
    if (spare.length < MAX_SPARE && this.bytes.length <= MAX_SPARE_BYTES) spare.push(this.bytes);
    this.bytes = NOTHING;
  }

  #grow(count: number): void {
    const length = this.length;
    let size = FIRST_BYTES;
    while (size < length + count) size *= 2;
    const grown = size <= this.bytes.length ? this.bytes : Buffer.allocUnsafeSlow(size);
    this.bytes.copy(grown, 0, this.start, this.end);
    this.bytes = grown;
    this.start = 0;
    this.end = length;
  }
}
