// Label selectors and the text that status.selector carries.
import { test } from "tap";
import { selectorMatches, selectorText } from "../../src/api/api.ts";

test("selector: every requirement must hold", (t) => {
  const selector = {
    matchLabels: { app: "web" },
    matchExpressions: [
      { key: "tier", operator: "In", values: ["a", "b"] },
      { key: "old", operator: "DoesNotExist" },
      { key: "app", operator: "Exists" },
      { key: "zone", operator: "NotIn", values: ["x"] },
    ],
  };
  t.ok(selectorMatches(selector, { app: "web", tier: "b" }));
  t.notOk(selectorMatches(selector, { app: "web", tier: "c" }));
  t.notOk(selectorMatches(selector, { app: "web", tier: "a", old: "" }));
  t.notOk(selectorMatches(selector, { app: "web", tier: "a", zone: "x" }));
  t.notOk(selectorMatches(selector, { tier: "a" }));
  t.ok(selectorMatches({}, {}));
  t.notOk(selectorMatches({ matchExpressions: [{ key: "a", operator: "Like", values: ["b"] }] }, { a: "b" }));
  t.end();
});

test("selector: its text is sorted by key", (t) => {
  t.equal(selectorText({ matchLabels: { b: "2", a: "1" } }), "a=1,b=2");
  const matchExpressions = [
    { key: "x", operator: "NotIn", values: ["2", "1"] },
    { key: "c", operator: "Exists" },
    { key: "d", operator: "DoesNotExist" },
    { key: "e", operator: "In", values: ["v"] },
  ];
  t.equal(selectorText({ matchLabels: { z: "1" }, matchExpressions }), "c,!d,e in (v),x notin (1,2),z=1");
  t.equal(selectorText({}), "<none>");
  t.end();
});
