// Conditions made from the golden vectors by cutting, joining and swapping pieces: whatever the text, evaluation ends in an outcome,
// never in a crash, and an error points into the text. WEIR_FUZZ_RUNS sets how many.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { test } from "tap";
import { evaluateCondition } from "../../src/analysis/assess.ts";
import { type ConditionResult, isTrue } from "../../src/analysis/expr/condition.ts";
import { ConditionError } from "../../src/analysis/expr/error.ts";

const RUNS = Number(process.env.WEIR_FUZZ_RUNS ?? 3000);
const SEED = 20261122;
const VECTORS: readonly { readonly condition: string; readonly result: string }[] = JSON.parse(
  readFileSync("test/analysis/expr.vectors.json", "utf8"),
);
// Ranges are left small: what a large one costs is bounds.test.ts's concern.
const CONDITIONS = [...new Set(VECTORS.map(({ condition }) => condition))].filter(
  (condition) => !/\d{5,}|repeat/.test(condition),
);
const RESULTS: readonly ConditionResult[] = [
  ...new Set(VECTORS.map(({ result }) => result).filter((result) => !/^[NF+]|^-Inf/.test(result))),
].map((result) => JSON.parse(result));
const PIECES = [...new Set(CONDITIONS.flatMap((condition) => condition.split(/(?<=[\s,()[\]{}.|?:])/)))];

const condition = fc.oneof(
  fc
    .tuple(fc.constantFrom(...CONDITIONS), fc.constantFrom(...CONDITIONS), fc.nat(40), fc.nat(40))
    .map(([left, right, from, to]) => left.slice(0, from) + right.slice(to)),
  fc
    .tuple(fc.constantFrom(...CONDITIONS), fc.constantFrom(...PIECES), fc.nat(60), fc.nat(3))
    .map(([whole, piece, at, cut]) => whole.slice(0, at) + piece + whole.slice(at + cut)),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((pieces) => pieces.join("")),
);

test("mutations: no condition crashes the evaluation", async (t) => {
  let errors = 0;
  let decided = 0;
  fc.assert(
    fc.property(condition, fc.constantFrom(...RESULTS), (text, result) => {
      const { phase } = evaluateCondition({ success: text, result, nowMs: 0 });
      if (phase === "Error") errors += 1;
      else decided += 1;
    }),
    { numRuns: RUNS, seed: SEED },
  );
  t.ok(errors > RUNS / 10, `${errors} errors`);
  t.ok(decided > RUNS / 100, `${decided} decided`);
});

test("mutations: an error points into its condition", async (t) => {
  fc.assert(
    fc.property(condition, fc.constantFrom(...RESULTS), (text, result) => {
      try {
        isTrue(text, { result, nowMs: 0 });
      } catch (error) {
        if (!(error instanceof ConditionError)) throw error;
        const { at = 0 } = error;
        // The end of the text may be to blame, and no more than that.
        if (!(at >= 0 && at <= Array.from(text).length))
          throw new Error(`${text}: ${error.message} at ${at}`);
      }
    }),
    { numRuns: RUNS, seed: SEED },
  );
  t.pass(`${RUNS} conditions`);
});
