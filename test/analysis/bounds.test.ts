// No condition can hold the controller: whatever it asks for ends in an answer or in an error that names the bound, after work
// that is counted. Each row would run for minutes, or take all memory, if what it leans on were not counted.
import { test } from "tap";
import { evaluateCondition } from "../../src/analysis/assess.ts";
import type { ConditionResult } from "../../src/analysis/expr/condition.ts";

const STEPS = /needs more than 5000000 evaluation steps at column \d+/;
const MEMORY = /memory budget exceeded at column \d+/;
const LONG = "a".repeat(1_000_000);
const LIST = Array.from({ length: 300_000 }, (_, index) => index);
const OBJECT = Object.fromEntries(LIST.map((index) => [`k${index}`, index]));

/** Lists that hold each other twice: 2 to the 60th elements in 60 lists. */
const SHARED = `let x0 = [1, 1]; ${Array.from({ length: 60 }, (_, index) => `let x${index + 1} = [x${index}, x${index}]; `).join("")}`;

const nested = (depth: number): ConditionResult => {
  let value: ConditionResult = 1;
  for (let index = 0; index < depth; index++) value = [value];
  return value;
};

const HOSTILE: readonly (readonly [condition: string, result: ConditionResult, bound: RegExp])[] = [
  ['reduce(1..999, #acc + #acc, "a") == ""', 1, STEPS],
  [`${SHARED}x60 == [x59, x59]`, 1, STEPS],
  [`${SHARED}x60 in [x60]`, 1, STEPS],
  [`${SHARED}len(flatten(x60)) > 0`, 1, STEPS],
  [`${SHARED}string(x60) == ""`, 1, STEPS],
  [`${SHARED}toJSON(x60) == ""`, 1, STEPS],
  [`${SHARED}max(x60) > 0`, 1, STEPS],
  [`${SHARED}mean(x60) > 0`, 1, STEPS],
  ["len(uniq(result)) > 0", LIST, STEPS],
  ["all(result, result == result)", LIST, STEPS],
  ["any(result, -1 in result)", LIST, STEPS],
  ['any(1..999999, result contains "b")', LONG, STEPS],
  ["any(1..999999, result < result)", LONG, STEPS],
  ['any(1..999999, upper(result) == "")', LONG, STEPS],
  ['any(1..999999, {let v = result; v[1:] == ""})', LONG, STEPS],
  ["any(1..999999, len(keys(result)) == 0)", OBJECT, STEPS],
  ["any(1..999999, len(result) == 0)", OBJECT, STEPS],
  ['any(1..999999, len(repeat("a", 999999)) == 0)', 1, MEMORY],
  ["len(sort(map(1..999999, -#))) > 0", 1, MEMORY],
  ["len(groupBy(1..999999, #)) > 0", 1, STEPS],
  ["all(1..900, all(1..900, all(1..900, true)))", 1, MEMORY],
  ['result matches "(a?){500}a{500}b"', LONG, STEPS],
  ['any(1..999999, "abc" matches string(#) + "+")', 1, STEPS],
  [`"a" matches "${"[^\\\\pL]{1000}".repeat(100)}"`, 1, STEPS],
  [`any(1..999999, now().Format("${"Monday ".repeat(1000)}") == "")`, 1, STEPS],
  ['all(1..999999, timezone("Europe/Berlin").String() != "")', 1, STEPS],
  ["string(result) == 1", nested(100_000), /mismatched types string and int/],
  ['string(result) == ""', nested(100_000), /cannot be evaluated/],
  ['toJSON(result) == ""', nested(100_000), /nested too deep/],
  ["flatten(result) == [1]", nested(100_000), /recursion depth exceeded/],
  ["fromJSON(result) == 1", "[".repeat(100_000) + "]".repeat(100_000), /nested too deep/],
];

test("bounds: hostile conditions end in an error that names the bound", async (t) => {
  for (const [success, result, bound] of HOSTILE) {
    const outcome = evaluateCondition({ success, result, nowMs: 0 });
    t.equal(outcome.phase, "Error", success.slice(-60));
    t.match(outcome.phase === "Error" ? outcome.message : "", bound);
  }
});

test("bounds: patterns that backtrack elsewhere are answered", async (t) => {
  const phaseOf = (success: string, result: string): string =>
    evaluateCondition({ success, result, nowMs: 0 }).phase;
  t.equal(phaseOf('result matches "^(a+)+$"', LONG), "Successful");
  t.equal(phaseOf('result matches "^(a+)+b"', LONG), "Failed");
  t.equal(phaseOf('result matches "(x+x+)+y"', LONG), "Failed");
  t.equal(phaseOf('result matches "^(a|aa|aaa)*$"', LONG), "Successful");
});

test("bounds: what honest conditions need is far below", async (t) => {
  const phaseOf = (success: string, result: ConditionResult): string =>
    evaluateCondition({ success, result, nowMs: 0 }).phase;
  t.equal(phaseOf("all(result, # >= 0) && mean(result) > 1", LIST), "Successful");
  t.equal(phaseOf('not (result contains "b") && len(result) == 1000000', LONG), "Successful");
  t.equal(phaseOf("trim(result) == result", `a${" ".repeat(100_000)}a`), "Successful");
  t.equal(phaseOf("result.k299999 == 299999 && len(result) == 300000", OBJECT), "Successful");
});
