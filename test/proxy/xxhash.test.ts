// XXH64: the published vectors, and equality with the specification written plainly over BigInt.
import fc from "fast-check";
import { test } from "tap";
import { KeyHash } from "../../src/proxy/route/xxhash.ts";

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;

const rotated = (word: bigint, by: bigint): bigint => ((word << by) | (word >> (64n - by))) & MASK;
const round = (lane: bigint, input: bigint): bigint => (rotated((lane + input * P2) & MASK, 31n) * P1) & MASK;

/** The specification, step by step. */
function plain(bytes: Buffer, seed: bigint): bigint {
  let at = 0;
  let hash = (seed + P5) & MASK;
  if (bytes.length >= 32) {
    let lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
    for (; at + 32 <= bytes.length; at += 32)
      lanes = lanes.map((lane, i) => round(lane, bytes.readBigUInt64LE(at + 8 * i)));
    const turns = [1n, 7n, 12n, 18n];
    hash = lanes.reduce((sum, lane, i) => sum + rotated(lane, turns[i] ?? 0n), 0n) & MASK;
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8)
    hash = (rotated(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  if (at + 4 <= bytes.length) {
    hash = (rotated(hash ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++)
    hash = (rotated(hash ^ ((BigInt(bytes[at] ?? 0) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

function hashed(bytes: Buffer, seed = 0n): bigint {
  const hash = new KeyHash();
  hash.of(bytes, 0, bytes.length, Number(seed & 0xffff_ffffn), Number(seed >> 32n));
  return (BigInt(hash.high) << 32n) | BigInt(hash.low);
}

test("xxhash: gives the published values", (t) => {
  for (const [text, want] of [
    ["", 0xef46db3751d8e999n],
    ["a", 0xd24ec4f1a98c6e5bn],
    ["abc", 0x44bc2cf5ad770999n],
    ["Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1n],
  ] as const)
    t.equal(hashed(Buffer.from(text)), want, text);
  t.end();
});

test("xxhash: equals the plain specification for any bytes, seed and total", (t) => {
  const word = fc.bigInt({ min: 0n, max: MASK });
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      word,
      fc.oneof(fc.integer({ min: 1, max: 0xffff_ffff }), fc.constantFrom(2 ** 26, 2 ** 26 + 1, 10_000)),
      (input, seed, total) => {
        const bytes = Buffer.from(input);
        const want = plain(bytes, seed);
        t.equal(hashed(bytes, seed), want);
        const hash = new KeyHash();
        hash.of(bytes, 0, bytes.length, Number(seed & 0xffff_ffffn), Number(seed >> 32n));
        t.equal(BigInt(hash.below(total)), want % BigInt(total));
      },
    ),
    { seed: 1, numRuns: 500 },
  );
  t.end();
});

test("xxhash: joined hashes are (earlier rotated by one) xor later", (t) => {
  const hash = new KeyHash();
  const [one, two] = [Buffer.from("one"), Buffer.from("two")];
  hash.of(one, 0, 3);
  const { low, high } = hash;
  hash.of(two, 0, 3);
  hash.join(low, high);
  t.equal((BigInt(hash.high) << 32n) | BigInt(hash.low), rotated(plain(one, 0n), 1n) ^ plain(two, 0n));
  t.end();
});
