// [hot] XXH64, the hash of Envoy's `hash_policy`, over bytes: without BigInt, in pairs of 32-bit halves. Published algorithm of sticky splits
// (docs/reference/sticky.md); golden vectors in test/proxy/xxhash.test.ts keep it the same in every release.
// Source: the XXH64 section of the xxHash specification.

/** The five primes of the specification, low and high half. */
const P1_LO = 0x85ebca87 | 0;
const P1_HI = 0x9e3779b1 | 0;
const P2_LO = 0x27d4eb4f | 0;
const P2_HI = 0xc2b2ae3d | 0;
const P3_LO = 0x9e3779f9 | 0;
const P3_HI = 0x165667b1 | 0;
const P4_LO = 0xc2b2ae63 | 0;
const P4_HI = 0x85ebca77 | 0;
const P5_LO = 0x165667c5 | 0;
const P5_HI = 0x27d4eb2f | 0;

const TWO_32 = 0x1_0000_0000;
/** Up to this total, `below` stays within whole doubles. */
const MAX_PLAIN_TOTAL = 2 ** 26;

/** A number of 64 bits in two halves (signed numbers of 32 bits), and what hashing does with it. */
class Word {
  lo = 0;
  hi = 0;

  set(lo: number, hi: number): void {
    this.lo = lo;
    this.hi = hi;
  }

  add(lo: number, hi: number): void {
    const sum = (this.lo >>> 0) + (lo >>> 0);
    this.lo = sum | 0;
    this.hi = (this.hi + hi + (sum >= TWO_32 ? 1 : 0)) | 0;
  }

  xor(lo: number, hi: number): void {
    this.lo ^= lo;
    this.hi ^= hi;
  }

  /** The low 64 bits of the product. */
  times(lo: number, hi: number): void {
    const a = this.lo;
    const low = a & 0xffff;
    const high = a >>> 16;
    const otherLow = lo & 0xffff;
    const otherHigh = lo >>> 16;
    const first = high * otherLow + ((low * otherLow) >>> 16);
    const second = low * otherHigh + (first & 0xffff);
    const carried = high * otherHigh + (first >>> 16) + (second >>> 16);
    this.hi = (carried + Math.imul(a, hi) + Math.imul(this.hi, lo)) | 0;
    this.lo = Math.imul(a, lo);
  }

  /** Rotates to the left; `by` is 1 to 31. */
  rotate(by: number): void {
    const { lo, hi } = this;
    this.lo = (lo << by) | (hi >>> (32 - by));
    this.hi = (hi << by) | (lo >>> (32 - by));
  }

  /** Takes 8 bytes in: the specification's `round`. */
  round(buf: Uint8Array, at: number): void {
    INPUT.set(readLittle(buf, at), readLittle(buf, at + 4));
    INPUT.times(P2_LO, P2_HI);
    this.add(INPUT.lo, INPUT.hi);
    this.rotate(31);
    this.times(P1_LO, P1_HI);
  }
}

const INPUT = new Word();
const LANES = [new Word(), new Word(), new Word(), new Word()] as const;
const LANE_TURNS = [1, 7, 12, 18] as const;

/** A hash and what it decides. One instance is used again and again. */
export class KeyHash {
  readonly #word = new Word();

  /** The low 32 bits. */
  get low(): number {
    return this.#word.lo >>> 0;
  }

  /** The high 32 bits. */
  get high(): number {
    return this.#word.hi >>> 0;
  }

  /** Becomes XXH64 of bytes [start, end) with the seed given in halves. */
  of(buf: Uint8Array, start: number, end: number, seedLow = 0, seedHigh = 0): void {
    const word = this.#word;
    const length = end - start;
    let at = start;
    if (length >= 32) at = this.#stripes(buf, start, end, seedLow | 0, seedHigh | 0);
    else {
      word.set(seedLow | 0, seedHigh | 0);
      word.add(P5_LO, P5_HI);
    }
    word.add(length, 0);
    for (; at + 8 <= end; at += 8) {
      // The specification's accumulator of a tail: a round that begins at 0.
      LANES[0].set(0, 0);
      LANES[0].round(buf, at);
      word.xor(LANES[0].lo, LANES[0].hi);
      word.rotate(27);
      word.times(P1_LO, P1_HI);
      word.add(P4_LO, P4_HI);
    }
    if (at + 4 <= end) {
      INPUT.set(readLittle(buf, at), 0);
      INPUT.times(P1_LO, P1_HI);
      word.xor(INPUT.lo, INPUT.hi);
      word.rotate(23);
      word.times(P2_LO, P2_HI);
      word.add(P3_LO, P3_HI);
      at += 4;
    }
    for (; at < end; at++) {
      INPUT.set(buf[at]!, 0);
      INPUT.times(P5_LO, P5_HI);
      word.xor(INPUT.lo, INPUT.hi);
      word.rotate(11);
      word.times(P1_LO, P1_HI);
    }
    this.#avalanche();
  }

  /** Becomes (earlier rotated left by one) xor this: how Envoy joins the hashes of several policies. */
  join(earlierLow: number, earlierHigh: number): void {
    INPUT.set(earlierLow | 0, earlierHigh | 0);
    INPUT.rotate(1);
    this.#word.xor(INPUT.lo, INPUT.hi);
  }

  /** The whole number modulo `total` (1 to 2^32 - 1). */
  below(total: number): number {
    const { low, high } = this;
    if (total <= MAX_PLAIN_TOTAL) return ((high % total) * (TWO_32 % total) + (low % total)) % total;
    return Number(((BigInt(high) << 32n) | BigInt(low)) % BigInt(total));
  }

  /** The whole stripes of 32 bytes; returns the position behind them. */
  #stripes(buf: Uint8Array, start: number, end: number, seedLow: number, seedHigh: number): number {
    const [one, two, three, four] = LANES;
    for (const lane of LANES) lane.set(seedLow, seedHigh);
    one.add(P1_LO, P1_HI);
    one.add(P2_LO, P2_HI);
    two.add(P2_LO, P2_HI);
    four.add(~P1_LO, ~P1_HI);
    four.add(1, 0);
    let at = start;
    for (; at + 32 <= end; at += 32) {
      one.round(buf, at);
      two.round(buf, at + 8);
      three.round(buf, at + 16);
      four.round(buf, at + 24);
    }
    const word = this.#word;
    word.set(0, 0);
    for (let i = 0; i < 4; i++) {
      INPUT.set(LANES[i]!.lo, LANES[i]!.hi);
      INPUT.rotate(LANE_TURNS[i]!);
      word.add(INPUT.lo, INPUT.hi);
    }
    for (let i = 0; i < 4; i++) {
      INPUT.set(LANES[i]!.lo, LANES[i]!.hi);
      INPUT.times(P2_LO, P2_HI);
      INPUT.rotate(31);
      INPUT.times(P1_LO, P1_HI);
      word.xor(INPUT.lo, INPUT.hi);
      word.times(P1_LO, P1_HI);
      word.add(P4_LO, P4_HI);
    }
    return at;
  }

  #avalanche(): void {
    const word = this.#word;
    word.xor(word.hi >>> 1, 0);
    word.times(P2_LO, P2_HI);
    word.xor((word.lo >>> 29) | (word.hi << 3), word.hi >>> 29);
    word.times(P3_LO, P3_HI);
    word.xor(word.hi, 0);
  }
}

function readLittle(buf: Uint8Array, at: number): number {
  return buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16) | (buf[at + 3]! << 24);
}
