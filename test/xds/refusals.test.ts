// When the xDS client says that it refuses something: at once, or after a pause.
import { test } from "tap";
import { Refusals } from "../../src/xds/refusals.ts";
import { createManualClock } from "../support/clock.ts";

test("refusals: other words, an acceptance and a new stream are answered at once again", async (t) => {
  const clock = createManualClock();
  const refusals = new Refusals(clock);
  const said: string[] = [];
  const refuse = (words: string): boolean => refusals.refuse("routes", words, () => said.push(words));
  t.equal(refuse("a"), true);
  t.equal(refuse("a"), false, "known");
  t.strictSame(said, ["a"]);
  t.equal(refuse("b"), true, "takes the place of the one that waited");
  refusals.forget("routes");
  t.equal(refuse("b"), true);
  refuse("b");
  refusals.clear();
  t.equal(refuse("b"), true);
  t.strictSame(said, ["a", "b", "b", "b"]);
  t.equal(clock.pending, 0);
});

test("refusals: one that waits is not said once something else was", async (t) => {
  const clock = createManualClock();
  const refusals = new Refusals(clock);
  const said: string[] = [];
  for (const name of ["1", "2"]) refusals.refuse("clusters", "bad", () => said.push(name));
  refusals.overtake("clusters");
  await clock.advance(10_000);
  t.strictSame(said, ["1"]);
  refusals.refuse("clusters", "bad", () => said.push("3"));
  t.strictSame(said, ["1", "3"], "the pause is over");
});
