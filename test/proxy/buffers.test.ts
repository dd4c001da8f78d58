// Read buffers: how large the next one is, and that heads give their memory back.
import { test } from "tap";
import { LEVEL, ReadBuffers } from "../../src/proxy/wire/buffers.ts";
import { ByteStore } from "../../src/proxy/wire/bytestore.ts";

test("buffers: bulk gets the largest one at once, an unknown length climbs, the end of a body falls back to the smallest", (t) => {
  const buffers = new ReadBuffers();
  const smallest = buffers.take(LEVEL.CLIENT).length;
  const largest = buffers.take(3).length;
  const cases: readonly (readonly [level: number, count: number, expected: number, next: number])[] = [
    [0, smallest, 1_000_000, 3],
    [0, smallest, 10_000, 1],
    [0, smallest, 1, 1],
    [1, 4096, 1, 2],
    [3, largest, 1_000_000, 3],
    [3, largest, 10, 3],
    // A trickle gives its large buffer back, step by step.
    [3, 100, 1_000_000, 2],
    [0, 100, 1_000_000, 0],
    [3, largest, 0, 0],
    [2, 5_000, 0, 0],
  ];
  for (const [level, count, expected, next] of cases)
    t.equal(buffers.nextLevel(level, count, expected), next, `${level}, ${count} of ${expected} more`);
  t.end();
});

test("buffers: a store gives its memory to the next one, but neither too much nor too large a piece", (t) => {
  const spare: Buffer[] = [];
  const [one, other, large] = [new ByteStore(), new ByteStore(), new ByteStore()];
  one.text(Buffer.from("GET /one HTTP/1.1"));
  const memory = one.bytes;
  one.giveTo(spare);
  t.equal(one.length, 0);
  t.equal(one.bytes.length, 0);
  other.takeFrom(spare);
  t.equal(other.bytes, memory);
  t.equal(other.length, 0);
  t.equal(spare.length, 0);
  large.text(Buffer.alloc(60_000));
  large.giveTo(spare);
  t.equal(spare.length, 0);
  t.end();
});
