// [hot] Phase "split", where a client is to stay with its version: the key that a route asks for (a cookie, a header, the client's address)
// is hashed with the salt, and the hash says where in the split the request falls. Nothing is stored: every worker and proxy finds
// the same. A request without its key goes by chance; where the key is a cookie with a lifetime, it is given one, and goes by that.
import { NO_HASH } from "../forward/balancer.ts";
import type { Head } from "../http1/head.ts";
import { isSameBytes, SP } from "../wire/bytes.ts";
import { type Dice, pickTarget, targetAt } from "./split.ts";
import type { Split, Sticky, StickyKey, Target } from "./table.ts";
import { KeyHash } from "./xxhash.ts";

const COOKIE = Buffer.from("cookie");
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
/** Hex digits of a cookie that is issued: 128 bits. */
const COOKIE_DIGITS = 32;

/** The part of ClientFacts that keys are taken from. */
export interface StickyClient {
  readonly address: Buffer;
}

/** Picks versions for one event loop. */
export class StickyPicker {
  readonly #dice: Dice;
  readonly #hash = new KeyHash();
  /** Where the value of a cookie was found. */
  #start = 0;
  #end = 0;
  /** The Set-Cookie line that the answer to the request last picked for must carry; null: none. */
  issued: Buffer | null = null;
  /** What `hashFor` returned last. */
  hash: number = NO_HASH;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** The version for a request; also sets `issued`. */
  pick(split: Split, sticky: Sticky, head: Head, client: StickyClient): Target {
    const isKeyed = this.hashFor(sticky, head, client) !== NO_HASH;
    return isKeyed ? targetAt(split, this.#hash.below(split.total)) : pickTarget(split, this.#dice);
  }

  /** The upper 32 bits of the hash of a request's keys, or NO_HASH; also sets `issued`. */
  hashFor(sticky: Sticky, head: Head, client: StickyClient): number {
    this.hash = this.#find(sticky, head, client) ? this.#hash.high : NO_HASH;
    return this.hash;
  }

  /** Hashes the request's keys; false when it has none of them. */
  #find(sticky: Sticky, head: Head, client: StickyClient): boolean {
    const hash = this.#hash;
    this.issued = null;
    let isFound = false;
    for (let i = 0; i < sticky.keys.length; i++) {
      const key = sticky.keys[i]!;
      const { low, high } = hash;
      if (this.#one(key, sticky, head, client)) {
        if (isFound) hash.join(low, high);
        isFound = true;
      }
      if (key.isTerminal && isFound) break;
    }
    return isFound;
  }

  #one(key: StickyKey, { saltLow, saltHigh }: Sticky, head: Head, { address }: StickyClient): boolean {
    const hash = this.#hash;
    switch (key.kind) {
      case "address":
        if (address.length === 0) return false;
        hash.of(address, 0, address.length, saltLow, saltHigh);
        return true;
      case "header":
        return this.#header(key.name, saltLow, saltHigh, head);
      case "cookie": {
        if (this.#cookie(key.name, head)) {
          hash.of(head.bytes, this.#start, this.#end, saltLow, saltHigh);
          return true;
        }
        if (key.issue === null) return false;
        const value = this.#value();
        this.issued = Buffer.concat([key.issue.before, value, key.issue.after]);
        hash.of(value, 0, value.length, saltLow, saltHigh);
        return true;
      }
    }
  }

  /** The value, or the hashes of several values in their sorted order, each the seed of the next: their order in the request means nothing. */
  #header(name: Uint8Array, saltLow: number, saltHigh: number, head: Head): boolean {
    const { bytes, base, fields } = head;
    const hash = this.#hash;
    const first = head.indexOf(name, 0);
    if (first < 0) return false;
    let next = head.indexOf(name, first + 1);
    if (next < 0) {
      hash.of(bytes, base + fields[first * 4 + 2]!, base + fields[first * 4 + 3]!, saltLow, saltHigh);
      return true;
    }
    const values = [Buffer.from(head.valueAt(first), "latin1")];
    for (; next >= 0; next = head.indexOf(name, next + 1))
      values.push(Buffer.from(head.valueAt(next), "latin1"));
    values.sort(Buffer.compare);
    let low = saltLow;
    let high = saltHigh;
    for (const value of values) {
      hash.of(value, 0, value.length, low, high);
      ({ low, high } = hash);
    }
    return true;
  }

  /** Finds the first cookie of that name that is not empty, without the quotes that may stand around it. */
  #cookie(name: Uint8Array, head: Head): boolean {
    const { bytes, base, fields } = head;
    for (let field = head.indexOf(COOKIE, 0); field >= 0; field = head.indexOf(COOKIE, field + 1)) {
      const end = base + fields[field * 4 + 3]!;
      let at = base + fields[field * 4 + 2]!;
      while (at < end) {
        let stop = at;
        while (stop < end && bytes[stop] !== SEMICOLON) stop++;
        while (at < stop && bytes[at] === SP) at++;
        const value = at + name.length + 1;
        if (value <= stop && bytes[value - 1] === EQUALS && isSameBytes(bytes, at, value - 1, name)) {
          const isQuoted = stop - value >= 2 && bytes[value] === QUOTE && bytes[stop - 1] === QUOTE;
          this.#start = isQuoted ? value + 1 : value;
          this.#end = isQuoted ? stop - 1 : stop;
          return this.#end > this.#start;
        }
        at = stop + 1;
      }
    }
    return false;
  }

  #value(): Buffer {
    let digits = "";
    while (digits.length < COOKIE_DIGITS) digits += this.#dice.next().toString(16).padStart(8, "0");
    return Buffer.from(digits, "latin1");
  }
}
