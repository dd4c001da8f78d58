// What `npm test` tells again at its end of the tests that failed.
import { test } from "tap";
import { Failures } from "../scripts/failures.ts";

const RUN = `
# Subtest: test/a.test.ts
    # Subtest: pool: reuses the newest
        ok 1 - first
        not ok 2 - second
          ---
          diff: x
          ...
        not ok 3 - later # TODO
        1..3
        # failed 1 of 3 tests
    not ok 1 - pool: reuses the newest # time=3ms
      ---
      at: line 4
      ...
    # Subtest: pool: ends
        ok 1 - ends
        1..1
    ok 2 - pool: ends # time=1ms
    1..2
not ok 1 - test/a.test.ts # time=5ms
# Subtest: test/b.test.ts
    1..0
not ok 2 - test/b.test.ts # time=5ms
  ---
  exitCode: 1
  ...
# { total: 4, pass: 2, fail: 2 }
`;

function told(text: string): string[] {
  const failures = new Failures();
  for (const line of text.split("\n")) failures.add(line);
  return failures.lines();
}

test("test command: each failed assertion is told once, under the names around it", (t) => {
  t.same(told(RUN), [
    "# What failed:",
    "# test/a.test.ts > pool: reuses the newest > second",
    "#             ---",
    "#             diff: x",
    "# test/b.test.ts # time=5ms",
    "#     ---",
    "#     exitCode: 1",
  ]);
  t.end();
});

test("test command: a green run tells nothing, many failures are counted", (t) => {
  t.same(told("# Subtest: test/a.test.ts\n    ok 1 - fine\n    1..1\nok 1 - test/a.test.ts\n"), []);
  const many = told(
    Array.from({ length: 25 }, (_, index) => `not ok ${index + 1} - number ${index + 1}`).join("\n"),
  );
  t.equal(many.length, 22);
  t.equal(many.at(-1), "#   and 5 more");
  t.end();
});
