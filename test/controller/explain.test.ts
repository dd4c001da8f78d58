// `weir explain` names the proxies that a Rollout waits for, from what the leader has written down.
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { explainRollout } from "../../src/controller/controller.ts";
import { controllerBed, NAMESPACE } from "./bed.ts";

test("explain: a refusing proxy is named with its words, a silent one after a while", {
  timeout: 60_000,
}, async (t) => {
  const bed = await controllerBed(t);
  const leader = await bed.lead();
  const [a, b, c] = [bed.proxy([leader], "a"), bed.proxy([leader], "b"), bed.proxy([leader], "c")];
  const stable = await bed.ready(a, b, c);
  const waits = async (): Promise<readonly string[]> => {
    const lines = await explainRollout(bed, NAMESPACE, "web", AbortSignal.timeout(10_000));
    return (lines ?? []).filter((line) => line.startsWith("waits: the proxies"));
  };
  b.refuse("no room");
  c.hang();
  await bed.image("2");
  await bed.untilRollout("20 % decided", ({ status }) => status.canary?.weights?.canary.weight === 20);
  await bed.until("the refusal is written down", async () => (await waits()).join().includes("b: refused"));
  t.match(
    (await waits())[0],
    /^waits: the proxies have not acknowledged the weights: b: refused: .*no room \(\d+s so far\)$/,
  );
  await bed.clock.leap(6_000);
  await bed.until("the silence is written down", async () => (await waits()).join().includes("c: "));
  t.match((await waits())[0], /b: refused: .*no room; c: has not acknowledged yet \(\d+s so far\)$/);
  // The refusing proxy takes the next version of the routes, which the abort brings.
  b.accept();
  c.accept();
  await bed.patch(RESOURCES.rollout, "web", { status: { abort: true } }, "status");
  await bed.untilRollout(
    "aborted and acknowledged",
    ({ status }) => status.canary?.weights?.verified === true,
  );
  t.strictSame(await waits(), []);
  t.strictSame(b.weights(), { [stable]: 100 });
});

test("explain: without a proxy it says so", { timeout: 60_000 }, async (t) => {
  const bed = await controllerBed(t);
  await bed.lead();
  await bed.untilRollout("version 1 is stable", ({ status }) => (status.stableRS ?? "") !== "");
  await bed.image("2");
  await bed.untilRollout(
    "the canary is up",
    ({ status }) => status.stableRS !== status.currentPodHash && (status.updatedReplicas ?? 0) > 0,
  );
  const lines = await explainRollout(bed, NAMESPACE, "web", AbortSignal.timeout(10_000));
  t.match((lines ?? []).join("\n"), /no proxy connected/);
});
