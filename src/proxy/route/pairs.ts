// [hot] Names and values of one request, as they stand in a query or in cookies: positions in bytes, found by name. Filled at most once per
// request and only when a rule asks. The first of several pairs with one name counts.

import type { Head } from "../http1/head.ts";
import { MAX_TARGET_BYTES } from "../http1/parse.ts";
import { hashRange } from "../wire/bytemap.ts";
import { HEX, HTAB, SP } from "../wire/bytes.ts";

const AMPERSAND = 0x26;
const EQUALS = 0x3d;
const SEMICOLON = 0x3b;
const PERCENT = 0x25;
const PLUS = 0x2b;
const QUOTE = 0x22;
const COOKIE = Buffer.from("cookie");

/** See the head of this file. */
export class Pairs {
  /** What the positions are in. */
  buf: Buffer = Buffer.alloc(0);
  count = 0;
  hashes = new Int32Array(32);
  /** Four positions per pair: name begin and end, value begin and end. */
  at = new Int32Array(4 * 32);
  /** The name that was asked for last, and what was found: rules about one name come in rows. */
  #asked: Uint8Array | null = null;
  #found = -1;

  clear(buf: Buffer): void {
    this.buf = buf;
    this.count = 0;
    this.#asked = null;
  }

  add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    const index = this.count++;
    if (index === this.hashes.length) this.#grow();
    const { at } = this;
    this.hashes[index] = hashRange(this.buf, nameStart, nameEnd);
    at[index * 4] = nameStart;
    at[index * 4 + 1] = nameEnd;
    at[index * 4 + 2] = valueStart;
    at[index * 4 + 3] = valueEnd;
  }

  /** The first pair of that name; -1 when there is none. */
  find(name: Uint8Array, hash: number): number {
    if (this.#asked === name) return this.#found;
    this.#asked = name;
    this.#found = this.#search(name, hash);
    return this.#found;
  }

  #search(name: Uint8Array, hash: number): number {
    const { hashes, count, at, buf } = this;
    for (let i = 0; i < count; i++) {
      if (hashes[i] !== hash) continue;
      const start = at[i * 4]!;
      if (at[i * 4 + 1]! - start !== name.length) continue;
      let same = 0;
      while (same < name.length && buf[start + same] === name[same]) same++;
      if (same === name.length) return i;
    }
    return -1;
  }

  #grow(): void {
    const hashes = new Int32Array(this.hashes.length * 2);
    hashes.set(this.hashes);
    this.hashes = hashes;
    const at = new Int32Array(this.at.length * 2);
    at.set(this.at);
    this.at = at;
  }
}

/** Decoded queries are never longer than targets. */
const decoded = Buffer.alloc(MAX_TARGET_BYTES);

/**
 * Reads the query bytes[start, end): pairs between `&`, name and value between the first `=`, without one the value is empty. Both are
 * percent-decoded and `+` is a space, as upstreams read forms; a `%` without two hex digits stands for itself.
 */
export function readQuery(pairs: Pairs, buf: Buffer, start: number, end: number): void {
  pairs.clear(decoded);
  let from = start;
  let out = 0;
  while (from < end) {
    const nameStart = out;
    let nameEnd = -1;
    let at = from;
    for (; at < end && buf[at] !== AMPERSAND; at++) {
      const byte = buf[at]!;
      if (byte === EQUALS && nameEnd === -1) {
        nameEnd = out;
        continue;
      }
      if (byte === PERCENT && at + 2 < end && HEX[buf[at + 1]!]! < 16 && HEX[buf[at + 2]!]! < 16) {
        decoded[out++] = HEX[buf[at + 1]!]! * 16 + HEX[buf[at + 2]!]!;
        at += 2;
      } else decoded[out++] = byte === PLUS ? SP : byte;
    }
    if (at > from) pairs.add(nameStart, nameEnd === -1 ? out : nameEnd, nameEnd === -1 ? out : nameEnd, out);
    from = at + 1;
  }
}

/** Reads the Cookie fields of a head: pairs between `;`, spaces and quotes around a value taken off. What has no `=` is no cookie. */
export function readCookies(pairs: Pairs, head: Head): void {
  const { bytes, base, fields } = head;
  pairs.clear(bytes);
  for (let field = head.indexOf(COOKIE, 0); field >= 0; field = head.indexOf(COOKIE, field + 1))
    cookiesOf(pairs, bytes, base + fields[field * 4 + 2]!, base + fields[field * 4 + 3]!);
}

function cookiesOf(pairs: Pairs, buf: Buffer, start: number, end: number): void {
  let from = start;
  while (from < end) {
    let stop = from;
    let equals = -1;
    for (; stop < end && buf[stop] !== SEMICOLON; stop++)
      if (buf[stop] === EQUALS && equals === -1) equals = stop;
    if (equals !== -1) {
      const nameStart = skipped(buf, from, equals);
      const nameEnd = trimmed(buf, nameStart, equals);
      let valueStart = skipped(buf, equals + 1, stop);
      let valueEnd = trimmed(buf, valueStart, stop);
      if (valueEnd - valueStart >= 2 && buf[valueStart] === QUOTE && buf[valueEnd - 1] === QUOTE) {
        valueStart++;
        valueEnd--;
      }
      pairs.add(nameStart, nameEnd, valueStart, valueEnd);
    }
    from = stop + 1;
  }
}

function skipped(buf: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isSpace(buf[at]!)) at++;
  return at;
}

function trimmed(buf: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && isSpace(buf[at - 1]!)) at--;
  return at;
}

function isSpace(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
