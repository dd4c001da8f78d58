// How success and failure conditions make an outcome, with Argo's words for errors, and the bounds on evaluation.
import { test } from "tap";
import {
  type ConditionInput,
  type ConditionOutcome,
  conditionProblem,
  evaluateCondition,
} from "../../src/analysis/assess.ts";

const NOW_MS = Date.UTC(2026, 10, 22, 9, 30);
const outcomeOf = (input: Omit<ConditionInput, "nowMs">): ConditionOutcome =>
  evaluateCondition({ ...input, nowMs: NOW_MS });

const phaseOf = (input: Omit<ConditionInput, "nowMs">): string => outcomeOf(input).phase;

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
  t.strictSame(outcomeOf({ success: "result > 1", result: null }), {
    phase: "Error",
    message:
      'could not evaluate successCondition "result > 1": metric result is nil or empty: no data returned from the metric provider',
  });
  t.strictSame(outcomeOf({ failure: 'result == "a"', result: 1 }), {
    phase: "Error",
    message:
      'could not evaluate failureCondition "result == \\"a\\"": invalid operation: == (mismatched types float64 and string) at column 8; one side is text: write asFloat(result) or asInt(result), or put the other side in quotes'.replaceAll(
        "\\",
        "",
      ),
  });
  t.strictSame(outcomeOf({ success: "result", result: 1 }), {
    phase: "Error",
    message:
      'could not evaluate successCondition "result": expected bool, but got float64; a condition must come out true or false: compare the value, as in result >= 0.95',
  });
});

test("condition: evaluation is bounded", async (t) => {
  const slow = outcomeOf({
    success: "let l = 1..3000; none(l, {let v = #; any(l, # > 9999 + v)})",
    result: 1,
  });
  t.match(slow, { phase: "Error", message: /evaluation steps/ });
  const deep = outcomeOf({ success: "(".repeat(5000), result: 1 });
  t.match(deep, { phase: "Error", message: /nested deeper/ });
  const long = outcomeOf({ success: " ".repeat(70_000), result: 1 });
  t.match(long, { phase: "Error", message: /characters/ });
  const wide = outcomeOf({ success: `${"result + ".repeat(900)}1 > 0`, result: 1 });
  t.match(wide, { phase: "Successful" });
  const row = outcomeOf({ success: `${"result + ".repeat(4_900)}1 > 0`, result: 1 });
  t.match(row, { phase: "Error", message: /in a row/ });
  const many = outcomeOf({ success: `len([${"1,".repeat(11_000)}]) > 0`, result: 1 });
  t.match(many, { phase: "Error", message: /maximum allowed nodes/ });
});

test("condition: a problem that no result can mend is found without one", async (t) => {
  t.equal(conditionProblem("result[0].x >= 0.95 && default(result, 0) < 1"), undefined);
  t.match(conditionProblem("result >="), /^unexpected token EOF at column 9; something is missing/);
  t.match(conditionProblem("reslut > 1"), /^unknown name reslut at column 1; a condition may name result,/);
  t.equal(
    conditionProblem("now() > 1"),
    "invalid operation: > (mismatched types time.Time and int) at column 7",
  );
  t.equal(
    conditionProblem("result > 0 &&\n  result matches '('"),
    "error parsing regexp: missing closing ): `(` at line 2, column 10",
  );
});

test("condition: errors tell how to mend what people meet most", async (t) => {
  const messageOf = (success: string, result: ConditionInput["result"]): string => {
    const outcome = outcomeOf({ success, result });
    return outcome.phase === "Error" ? outcome.message : outcome.phase;
  };
  t.match(messageOf("result % 2 == 0", 4), /at column 8; .* write int\(result\) % 2$/);
  t.match(messageOf("result < 0.1", [1]), /at column 8; the result is a list: .*result\[0\]/);
  t.match(messageOf("result < 0.1", { a: 1 }), /at column 8; the result is an object/);
  t.match(messageOf("result.a.b < 0.1", { c: 1 }), /at column 10; a field is missing: .*result\?\.field/);
  t.match(messageOf("result[3] < 0.1", [1]), /at column 7; test the length first/);
  t.match(messageOf("result = 1", 1), /at column 8; comparison is written ==$/);
  t.match(
    messageOf('result matches "(?=a)"', "a"),
    /invalid or unsupported Perl syntax: `\(\?=` at column 8$/,
  );
});

test("condition: what every object inherits is nothing to a condition", async (t) => {
  t.match(conditionProblem("constructor(1)"), /^unknown name constructor/);
  t.match(conditionProblem("1 | toString()"), /^unknown name toString/);
  t.match(conditionProblem("all([1], #constructor)"), /^unknown pointer #constructor/);
  t.match(conditionProblem('date("2026-11-22").constructor()'), /has no method constructor/);
  t.match(conditionProblem("$env.constructor == nil"), /^unknown name constructor/);
  t.equal(phaseOf({ success: "result.constructor == nil", result: { a: 1 } }), "Successful");
  t.equal(phaseOf({ success: "let __proto__ = result; __proto__.a == 1", result: { a: 1 } }), "Successful");
  t.match(outcomeOf({ success: 'duration("1constructor") > result', result: 1 }), { phase: "Error" });
  t.match(outcomeOf({ success: 'duration(result.d) > duration("1s")', result: { d: "1valueOf" } }), {
    phase: "Error",
    message: /unknown unit "valueOf" in duration "1valueOf"/,
  });
});

test("condition: now() is the time of the measurement", async (t) => {
  t.equal(phaseOf({ success: "now().Unix() == 1795339800", result: 1 }), "Successful");
  t.equal(
    phaseOf({ success: 'now().Format("2006-01-02 15:04") == "2026-11-22 09:30"', result: 1 }),
    "Successful",
  );
  const stale = { success: 'now() - date(result) < duration("5m")' };
  t.equal(phaseOf({ ...stale, result: "2026-11-22T09:26:00Z" }), "Successful");
  t.equal(phaseOf({ ...stale, result: "2026-11-22T09:24:00Z" }), "Failed");
});
