// The byte budget of replay and mirror buffers.
import { test } from "tap";
import { ByteBudget } from "../../src/proxy/forward/budget.ts";

test("budget: gives bytes up to its limit and takes them back", (t) => {
  const budget = new ByteBudget(10);
  t.equal(budget.take(6), true);
  t.equal(budget.take(5), false, "only four are left");
  t.equal(budget.used, 6, "a refusal takes nothing");
  t.equal(budget.take(4), true);
  budget.give(6);
  t.equal(budget.take(6), true);
  t.end();
});
