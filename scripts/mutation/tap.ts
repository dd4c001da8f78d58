// Stands in for tap where tests run in Stryker's own process: `test` collects, the runner calls. Knows the assertions that the tests of the
// engine use; the first that fails throws.
import assert from "node:assert/strict";
import { isObject } from "../../src/lib/json.ts";

export interface CollectedTest {
  readonly name: string;
  readonly run: () => unknown;
}

interface Assertions {
  equal(found: unknown, wanted: unknown, message?: string): void;
  not(found: unknown, other: unknown, message?: string): void;
  ok(found: unknown, message?: string): void;
  notOk(found: unknown, message?: string): void;
  strictSame(found: unknown, wanted: unknown, message?: string): void;
  match(found: unknown, pattern: unknown, message?: string): void;
  type(found: unknown, name: string, message?: string): void;
  end(): void;
}

/** In the order in which test files named them. */
export const collected: CollectedTest[] = [];

/** As tap's. */
export function test(name: string, body: (t: Assertions) => unknown): void {
  collected.push({ name, run: () => body(ASSERTIONS) });
}

// What a test says about an assertion is for people.
const ASSERTIONS: Assertions = {
  equal: (found, wanted) => assert.strictEqual(found, wanted),
  not: (found, other) => assert.notStrictEqual(found, other),
  ok: (found) => assert.ok(found),
  notOk: (found) => assert.ok(!found),
  strictSame: (found, wanted) => assert.deepStrictEqual(found, wanted),
  match: (found, pattern) => assert.ok(isMatch(found, pattern)),
  type: (found, name) => assert.equal(typeof found, name),
  end: () => undefined,
};

/** Whether all that the pattern names is there: texts may be longer, objects and lists may have more. */
function isMatch(found: unknown, pattern: unknown): boolean {
  if (pattern instanceof RegExp) return typeof found === "string" && pattern.test(found);
  if (typeof pattern === "string") return typeof found === "string" && found.includes(pattern);
  if (Array.isArray(pattern))
    return Array.isArray(found) && pattern.every((item, index) => isMatch(found[index], item));
  if (isObject(pattern))
    return isObject(found) && Object.entries(pattern).every(([key, inner]) => isMatch(found[key], inner));
  return Object.is(found, pattern);
}
