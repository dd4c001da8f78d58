// [hot] Request ids (UUID version 4) and trace ids, written as bytes from random numbers that are drawn in batches: no string, no system
// call per request.
import { randomFillSync } from "node:crypto";

/** Length of an id as text. */
export const REQUEST_ID_BYTES = 36;

const BATCH_BYTES = 4096;
const DASH = 45;
const DIGITS = Buffer.from("0123456789abcdef");

/** The random ids of one event loop. */
export class RandomIds {
  readonly #random = Buffer.alloc(BATCH_BYTES);
  #at = BATCH_BYTES;

  /** Writes a UUID at `at`: REQUEST_ID_BYTES bytes. */
  writeUuid(buf: Uint8Array, at: number): void {
    const from = this.#take(16);
    const random = this.#random;
    random[from + 6] = (random[from + 6]! & 0x0f) | 0x40;
    random[from + 8] = (random[from + 8]! & 0x3f) | 0x80;
    let to = at;
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) buf[to++] = DASH;
      const byte = random[from + i]!;
      buf[to++] = DIGITS[byte >> 4]!;
      buf[to++] = DIGITS[byte & 15]!;
    }
  }

  /** Writes `count` random bytes as 2 * `count` hex digits, not all of them 0. */
  writeHex(buf: Uint8Array, at: number, count: number): void {
    const from = this.#take(count);
    const random = this.#random;
    random[from] = random[from]! | 1;
    for (let i = 0; i < count; i++) {
      const byte = random[from + i]!;
      buf[at + i * 2] = DIGITS[byte >> 4]!;
      buf[at + i * 2 + 1] = DIGITS[byte & 15]!;
    }
  }

  /** A random number below 2^32. */
  uint32(): number {
    return this.#random.readUInt32LE(this.#take(4));
  }

  #take(count: number): number {
    if (this.#at + count > BATCH_BYTES) {
      randomFillSync(this.#random);
      this.#at = 0;
    }
    const from = this.#at;
    this.#at += count;
    return from;
  }
}
