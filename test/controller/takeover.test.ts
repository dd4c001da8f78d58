// Analysis over a change of leader: windows that began under the one before are counted on to the request.
import { test } from "tap";
import { type AnalysisRun, RESOURCES, readAnalysisRun } from "../../src/api/api.ts";
import { BOUNDED } from "./acknowledged.ts";
import { type Bed, controllerBed, NAMESPACE, SYSTEM } from "./bed.ts";

const LEASE = { lease: { leaseMs: 15_000, renewMs: 10_000, retryMs: 200 } };
const RECORD = { namespace: SYSTEM, name: "weir-traffic-default.web" };
const METRICS = ["step", "run"];

/** A template that goes on counting the canary's requests since the step and since the run began. */
async function counting(bed: Bed): Promise<void> {
  const metrics = METRICS.map((since) => ({
    name: since,
    interval: "1s",
    count: 1_000,
    failureLimit: 1_000,
    successCondition: "result >= 1000",
    provider: { plugin: { "weir.dev/traffic": { metric: "requests", since } } },
  }));
  await bed.client.create(RESOURCES.analysisTemplate, {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "count", namespace: NAMESPACE },
    spec: { metrics },
  });
}

async function theRun(bed: Bed): Promise<AnalysisRun | undefined> {
  const { items } = await bed.client.list(RESOURCES.analysisRun, { namespace: NAMESPACE });
  return items[0] === undefined ? undefined : readAnalysisRun(items[0]).value;
}

/** The last measurements of both metrics, once they have that value. */
function measured(bed: Bed, value: number) {
  return bed.until(`both count ${value}`, async () => {
    const run = await theRun(bed);
    const last = METRICS.map((name) =>
      run?.status.metricResults?.find((result) => result.name === name)?.measurements?.at(-1),
    );
    return last.every((measurement) => measurement?.value === String(value)) ? last : undefined;
  });
}

const STEPS = { steps: [{ setWeight: 20 }, { analysis: { templates: [{ templateName: "count" }] } }] };

test(
  "takeover: counts since step and run go on over a killed leader, nothing lost, nothing twice",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { canary: STEPS });
    await counting(bed);
    const first = await bed.lead(LEASE);
    const second = await bed.lead({ ...LEASE, isLeading: false });
    let cluster = "default/web:80/none";
    let requests = 0;
    const a = bed.proxy([first, second], "a", {
      epoch: `${bed.clock.nowMs() + 1_000}-1`,
      loads: () => [{ cluster, metrics: [["r/requests", requests]] }],
    });
    await bed.ready(a);
    await bed.image("2");
    const { status } = await bed.untilRollout("analysing", (now) => now.status.currentStepIndex === 1);
    await bed.until("the run is there", async () => (await theRun(bed))?.status.phase === "Running");
    cluster = `default/web:80/${status.currentPodHash}`;
    requests = 40;
    await measured(bed, 40);
    first.kill();
    requests = 100;
    await bed.clock.leap(16_000);
    await bed.until("the second leads", () => second.controller.isLeading());
    for (const measurement of await measured(bed, 100))
      t.equal(measurement?.metadata, undefined, "the window is whole, nothing has to be said about it");
    requests = 130;
    await measured(bed, 130);
    await bed.client.delete(RESOURCES.rollout, { namespace: NAMESPACE, name: "web" });
    await bed.until("the record goes with the Rollout", async () => {
      return (await bed.client.get(RESOURCES.configMap, RECORD)) === undefined;
    });
  },
);

test("takeover: without the record, the measurement says since when it counts", BOUNDED, async (t) => {
  const bed = await controllerBed(t, { canary: STEPS });
  await counting(bed);
  const first = await bed.lead(LEASE);
  const second = await bed.lead({ ...LEASE, isLeading: false });
  const epoch = `${bed.clock.nowMs() + 1_000}-1`;
  let cluster = "default/web:80/none";
  let requests = 0;
  const a = bed.proxy([first, second], "a", {
    epoch,
    loads: () => [{ cluster, metrics: [["r/requests", requests]] }],
  });
  await bed.ready(a);
  await bed.image("2");
  const { status } = await bed.untilRollout("analysing", (now) => now.status.currentStepIndex === 1);
  await bed.until("the run is there", async () => (await theRun(bed))?.status.phase === "Running");
  cluster = `default/web:80/${status.currentPodHash}`;
  requests = 40;
  await measured(bed, 40);
  first.kill();
  await bed.client.delete(RESOURCES.configMap, RECORD);
  await bed.clock.leap(16_000);
  await bed.until("the second leads", () => second.controller.isLeading());
  await bed.until("its first report is a baseline", () => a.isConnected());
  await measured(bed, 0);
  await bed.clock.leap(1_000);
  requests = 47;
  for (const measurement of await measured(bed, 7))
    t.match(measurement?.metadata?.countedSince, /^\d{4}-\d\d-\d\dT/);
});
