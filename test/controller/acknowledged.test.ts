// "Acknowledged weights": a weight counts as set only when every proxy that must follow it says that it does. Each test holds one
// sentence of the rule, over a real API server, a real controller and real gRPC.
import { test } from "tap";
import { canaryWeight, controllerBed } from "./bed.ts";

const BOUNDED = { timeout: 60_000 };

test(
  "acknowledged: when all proxies have it in force, the weight is verified and the steps go on to the end",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t);
    const leader = await bed.lead();
    const [a, b] = ["a", "b"].map((id) => bed.proxy([leader], id));
    const first = await bed.untilRollout("first deploy", ({ status }) => status.phase === "Healthy");
    await bed.until(
      "both serve version 1",
      () => a?.weights()?.[first.status.stableRS ?? ""] === 100 && b?.weights() !== undefined,
    );
    b?.hang();
    await bed.image("2");
    const waiting = await bed.untilRollout(
      "20 % decided",
      ({ status }) => status.canary?.weights?.canary.weight === 20,
    );
    if (a === undefined || b === undefined) throw new Error("no proxies");
    await bed.until("one has it in force", () => canaryWeight(a, waiting) === 20);
    await bed.holds(
      "unverified at step 0",
      ({ status }) => status.canary?.weights?.verified === false && status.currentStepIndex === 0,
    );
    b.accept();
    const done = await bed.untilRollout(
      "promoted",
      ({ status }) => status.phase === "Healthy" && status.stableRS === waiting.status.currentPodHash,
    );
    t.equal(done.status.canary?.weights?.verified, true);
    t.strictSame(a.weights(), { [done.status.stableRS ?? ""]: 100 });
    t.strictSame(b.weights(), a.weights());
  },
);
