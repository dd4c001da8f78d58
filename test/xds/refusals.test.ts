// When the xDS client says that it refuses something: at once, or after a pause.
import { test } from "tap";
import { Refusals } from "../../src/xds/refusals.ts";
import { createManualClock } from "../support/clock.ts";

/** Refusals of routes, and the nonces of what was said. */
function plane() {
  const clock = createManualClock();
  const said: string[] = [];
  const refusals = new Refusals(clock, ({ nonce }) => void said.push(nonce));
  let nonce = 0;
  const refuse = (rejection: string, content = "x"): boolean => {
    nonce += 1;
    return refusals.refuse({
      kind: "routes",
      version: "",
      nonce: String(nonce),
      names: [],
      rejection,
      content,
    });
  };
  return { clock, said, refusals, refuse };
}

test("refusals: other words, an acceptance and a new stream are answered at once again", async (t) => {
  const { clock, said, refusals, refuse } = plane();
  t.equal(refuse("a"), true);
  t.equal(refuse("a"), false, "known");
  t.strictSame(said, ["1"]);
  t.equal(refuse("b"), true, "takes the place of the one that waited");
  refusals.forget("routes");
  t.equal(refuse("b"), true);
  refuse("b");
  refusals.clear();
  t.equal(refuse("b"), true);
  t.strictSame(said, ["1", "3", "4", "6"]);
  t.equal(clock.pending, 0);
});

test("refusals: other content is refused at once, in the same words or not", async (t) => {
  const { clock, said, refuse } = plane();
  refuse("a", "x");
  t.equal(refuse("a", "y"), false, "the words are known");
  t.strictSame(said, ["1", "2"]);
  refuse("a", "y");
  refuse("a", "z");
  t.strictSame(said, ["1", "2", "4"], "in place of the one that waited");
  t.equal(clock.pending, 0);
});

test("refusals: one that waits goes along with what overtakes it, once, and the pauses grow on", async (t) => {
  const { clock, said, refusals, refuse } = plane();
  t.equal(refusals.overtake("routes"), undefined, "none");
  refuse("bad");
  t.equal(refusals.overtake("routes"), undefined, "said already");
  refuse("bad");
  t.match(refusals.overtake("routes"), { kind: "routes", nonce: "2", rejection: "bad" });
  t.equal(refusals.overtake("routes"), undefined);
  await clock.advance(10_000);
  t.strictSame(said, ["1"]);
  refuse("bad");
  t.strictSame(said, ["1", "3"], "the pause is over");
  refuse("bad");
  await clock.advance(799);
  t.strictSame(said, ["1", "3"]);
  await clock.advance(1);
  t.strictSame(said, ["1", "3", "4"]);
});

test("refusals: however often it comes while one waits, it is said when that was due", async (t) => {
  const { clock, said, refuse } = plane();
  for (let count = 0; count < 50; count += 1) refuse("bad");
  await clock.advance(199);
  t.strictSame(said, ["1"]);
  await clock.advance(1);
  t.strictSame(said, ["1", "50"], "the last of them");
  refuse("bad");
  await clock.advance(400);
  t.strictSame(said, ["1", "50", "51"], "the second pause");
  t.equal(clock.pending, 0);
});
