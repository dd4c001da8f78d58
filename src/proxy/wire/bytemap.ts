// [hot] A map from byte strings to values that is asked with bytes in place: nothing is copied and no string is made to look something up.
// Built once, then only read. The asker hashes step by step, so that one pass over its bytes serves keys of every length.
import { LOWER } from "./bytes.ts";

/** Hash of no bytes. */
export const HASH_START = 0x811c9dc5 | 0;

/** The hash with one byte more (FNV-1a, 32 bits). Keys are configuration: nobody outside chooses what they collide with. */
export function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

export interface ByteMapOptions {
  /** Keys are hashed from their last byte to their first, for askers that go backwards. */
  readonly isBackward?: boolean;
}

/** See the head of this file. The first of several entries with one key stays. */
export class ByteMap<V> {
  readonly entries: readonly (readonly [key: Uint8Array, value: V])[];
  /** 1 for each length that a key has. */
  readonly lengths: Uint8Array;
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(
    entries: Iterable<readonly [key: Uint8Array, value: V]>,
    { isBackward = false }: ByteMapOptions = {},
  ) {
    this.entries = [...entries];
    let capacity = 4;
    while (capacity < this.entries.length * 2) capacity *= 2;
    this.#mask = capacity - 1;
    this.#slots = new Int32Array(capacity);
    this.lengths = new Uint8Array(this.entries.reduce((most, [key]) => Math.max(most, key.length + 1), 0));
    this.entries.forEach(([key], index) => {
      this.lengths[key.length] = 1;
      const hash = isBackward ? hashOf(key.toReversed()) : hashOf(key);
      let slot = mixed(hash) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = index + 1;
    });
  }

  get size(): number {
    return this.entries.length;
  }

  /** The value of the key that bytes[start, end) are; `hash` is theirs. */
  get(hash: number, buf: Uint8Array, start: number, end: number): V | undefined {
    for (let slot = mixed(hash) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const index = this.#slots[slot]!;
      if (index === 0) return undefined;
      const entry = this.entries[index - 1]!;
      const key = entry[0];
      if (key.length !== end - start) continue;
      let at = 0;
      while (at < key.length && buf[start + at] === key[at]) at++;
      if (at === key.length) return entry[1];
    }
  }

  /** The same for keys in lower case and bytes in any; `hash` is that of the bytes in lower case. */
  getFolded(hash: number, buf: Uint8Array, start: number, end: number): V | undefined {
    for (let slot = mixed(hash) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const index = this.#slots[slot]!;
      if (index === 0) return undefined;
      const entry = this.entries[index - 1]!;
      const key = entry[0];
      if (key.length !== end - start) continue;
      let at = 0;
      while (at < key.length && LOWER[buf[start + at]!] === key[at]) at++;
      if (at === key.length) return entry[1];
    }
  }
}

/** Hash of a whole key, first byte first. */
export function hashOf(key: Uint8Array): number {
  return hashRange(key, 0, key.length);
}

/** Hash of bytes[start, end). */
export function hashRange(buf: Uint8Array, start: number, end: number): number {
  let hash = HASH_START;
  for (let at = start; at < end; at++) hash = hashStep(hash, buf[at]!);
  return hash;
}

/** Hash of bytes[start, end) in lower case. */
export function hashFolded(buf: Uint8Array, start: number, end: number): number {
  let hash = HASH_START;
  for (let at = start; at < end; at++) hash = hashStep(hash, LOWER[buf[at]!]!);
  return hash;
}

function mixed(hash: number): number {
  return hash ^ (hash >>> 15);
}
