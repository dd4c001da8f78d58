// How success and failure conditions make an outcome, with Argo's words for errors, and the bounds on evaluation.
import { test } from "tap";
import { type ConditionInput, conditionProblem, evaluateCondition } from "../../src/analysis/assess.ts";

const phaseOf = (input: ConditionInput): string => evaluateCondition(input).phase;

test("condition: success and failure conditions together decide", async (t) => {
  t.equal(phaseOf({ result: 1 }), "Successful");
  t.equal(phaseOf({ success: "result > 0", result: 1 }), "Successful");
  t.equal(phaseOf({ success: "result > 1", result: 1 }), "Failed");
  t.equal(phaseOf({ failure: "result > 0", result: 1 }), "Failed");
  t.equal(phaseOf({ failure: "result > 1", result: 1 }), "Successful");
  const both = { success: "result > 10", failure: "result < 5" };
  t.equal(phaseOf({ ...both, result: 1 }), "Failed");
  t.equal(phaseOf({ ...both, result: 7 }), "Inconclusive");
  t.equal(phaseOf({ ...both, result: 11 }), "Successful");
  t.equal(phaseOf({ ...both, result: Number.NaN }), "Inconclusive");
});

test("condition: what cannot be evaluated is an Error with the condition in its words", async (t) => {
  t.strictSame(evaluateCondition({ success: "result > 1", result: null }), {
    phase: "Error",
    message:
      'could not evaluate successCondition "result > 1": metric result is nil or empty: no data returned from the metric provider',
  });
  t.strictSame(evaluateCondition({ failure: 'result == "a"', result: 1 }), {
    phase: "Error",
    message:
      'could not evaluate failureCondition "result == \\"a\\"": invalid operation: == (mismatched types float64 and string)'.replaceAll(
        "\\",
        "",
      ),
  });
  t.strictSame(evaluateCondition({ success: "result", result: 1 }), {
    phase: "Error",
    message: 'could not evaluate successCondition "result": expected bool, but got float64',
  });
});

test("condition: evaluation is bounded", async (t) => {
  const slow = evaluateCondition({
    success: "let l = 1..3000; none(l, {let v = #; any(l, # > 9999 + v)})",
    result: 1,
  });
  t.match(slow, { phase: "Error", message: /evaluation steps/ });
  const deep = evaluateCondition({ success: "(".repeat(5000), result: 1 });
  t.match(deep, { phase: "Error", message: /nested deeper/ });
  const long = evaluateCondition({ success: " ".repeat(70_000), result: 1 });
  t.match(long, { phase: "Error", message: /characters/ });
  const wide = evaluateCondition({ success: `${"result + ".repeat(900)}1 > 0`, result: 1 });
  t.match(wide, { phase: "Successful" });
  const row = evaluateCondition({ success: `${"result + ".repeat(4_900)}1 > 0`, result: 1 });
  t.match(row, { phase: "Error", message: /in a row/ });
  const many = evaluateCondition({ success: `len([${"1,".repeat(11_000)}]) > 0`, result: 1 });
  t.match(many, { phase: "Error", message: /maximum allowed nodes/ });
});

test("condition: a problem that no result can mend is found without one", async (t) => {
  t.equal(conditionProblem("result[0].x >= 0.95 && default(result, 0) < 1"), undefined);
  t.equal(conditionProblem("result >="), "unexpected token EOF");
  t.equal(conditionProblem("reslut > 1"), "unknown name reslut");
  t.equal(conditionProblem("now() > 1"), "function now is not carried out yet");
});
