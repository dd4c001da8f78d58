// Bounds of configured patterns: what would hold up every request is refused, with its size.
import { test } from "tap";
import { MAX_PATTERN_CHARS, MAX_PROGRAM_SIZE, readPattern } from "../../src/lib/pattern.ts";

test("patterns: one whose program is too large is refused, and says how large it is", (t) => {
  const refused = readPattern(`/${"(?:[ab].{20}c.*){30}".repeat(2)}d`);
  t.match(
    refused,
    new RegExp(`is a pattern too large .*: \\d{4,} instructions, at most ${MAX_PROGRAM_SIZE}$`),
  );
  t.match(readPattern("a".repeat(MAX_PATTERN_CHARS + 1)), /is longer than 4096 characters/);
  t.end();
});

test("patterns: the largest that is taken looks at a long target in bounded work", (t) => {
  const read = readPattern("/(?:[ab].{20}c.*){35}d");
  if (typeof read === "string" || read.kind !== "pattern") throw new Error(JSON.stringify(read));
  t.notOk(read.pattern.matches(`/${"ab".repeat(8192)}`));
  t.ok(read.pattern.matches(`/${`a${"x".repeat(20)}c`.repeat(35)}d`));
  t.end();
});
