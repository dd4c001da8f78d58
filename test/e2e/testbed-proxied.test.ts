// A canary routed by weir's proxies on a real Kubernetes control plane, under load all the time: promoted over two weights and an analysis,
// then another one aborted. What counts is which version's pods answered.
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES, type Rollout } from "../../src/api/api.ts";
import {
  answers,
  isSettled,
  type KubernetesScene,
  type Program,
  poll,
  startKubernetesScene,
} from "../support/onkubernetes.ts";
import { analysisTemplate, gateway, httpRoute, rollout, services } from "../support/shop.ts";

const TIMEOUT_MS = 120_000;
const NAME = "shop";
const HOST = "shop.example";
const RATE = 200;
/** Standard deviations: a right split falls outside once in more than a million runs. */
const SIGMAS = 5;
const XDS_PORT = 18_000;
const GATEWAYS = [
  { name: "edge-a", port: 8000, adminPort: 9901 },
  { name: "edge-b", port: 8001, adminPort: 9902 },
];

test("test bed: a canary routed by proxies is promoted, and another aborted, without one failed request", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const scene = await startKubernetesScene(t);
  if (scene === undefined) return;
  const controller = await scene.startController("ctl", XDS_PORT);
  await scene.apply(
    ...services(NAME),
    analysisTemplate("health"),
    ...GATEWAYS.map(({ name, port }) => gateway(name, port)),
  );
  await scene.apply(httpRoute(NAME, HOST, ["edge-a", "edge-b"]), shop("blue"));
  const proxies = await Promise.all(
    GATEWAYS.map(({ name, adminPort }) => scene.startProxy(name, adminPort, [XDS_PORT])),
  );
  const blue = (await scene.until(NAME, isSettled("Healthy"))).status.stableRS ?? "";
  await Promise.all(GATEWAYS.map(({ port }) => answers(scene.bed, port, HOST)));
  const before = await routing(scene);
  const load = scene.startLoad(
    GATEWAYS.map(({ port }) => port),
    RATE,
    HOST,
  );

  const green = await promote(t, scene, load, blue);
  await checkSlices(t, scene, green);
  await abort(t, scene, load, green);

  load.tell("mark settled");
  await passed(load, "settled", 1);
  await load.end("SIGTERM");
  const total = totalOf(load);
  t.match(total, { failed: 0, retried: 0, skipped: 0, failures: {} });
  t.strictSame(statusesOf(total), ["200"], "every request was answered with 200");
  t.strictSame(await routing(scene), before, "Gateways and the HTTPRoute are as the user wrote them");
  t.equal(scene.history(NAME).at(-1)?.metadata.generation, 3, "status writes raise no generation");
  for (const program of [...proxies, controller]) {
    t.equal(await program.end("SIGTERM"), 0);
    t.notMatch(program.output(), /^\S+ (warn|error) |forbidden/im);
  }
});

function shop(version: string): KubeObject {
  const steps = [
    { setWeight: 20 },
    { pause: {} },
    { analysis: { templates: [{ templateName: "health" }] } },
    { setWeight: 60 },
    { pause: {} },
  ];
  return rollout({ name: NAME, version, replicas: 3, steps, isRouted: true });
}

async function promote(t: Test, scene: KubernetesScene, load: Program, blue: string): Promise<string> {
  load.tell("mark update");
  await scene.apply(shop("green"));
  const paused = await scene.until(NAME, isPausedAt(1, 20));
  const green = paused.status.currentPodHash ?? "";
  t.match(paused.status.canary?.weights, {
    canary: { weight: 20, podTemplateHash: green },
    stable: { weight: 80, podTemplateHash: blue },
    verified: true,
  });
  await checkSplit(t, load, "at20", { green: 0.2, blue: 0.8 });
  load.tell("mark analysis");
  t.equal((await scene.weir("promote", NAME)).code, 0);
  await scene.until(NAME, isPausedAt(4, 60));
  const runs = await scene.bed.client.list(RESOURCES.analysisRun, { namespace: scene.namespace });
  t.match(runs.items, [
    { status: { phase: "Successful" }, metadata: { ownerReferences: [{ kind: "Rollout", name: NAME }] } },
  ]);
  await checkSplit(t, load, "at60", { green: 0.6, blue: 0.4 });
  load.tell("mark promotion");
  t.equal((await scene.weir("promote", NAME)).code, 0);
  const healthy = await scene.until(NAME, isSettled("Healthy"));
  t.match(healthy.status, { stableRS: green, currentStepIndex: 5 });
  await onlyRuns(scene, green);
  await checkSplit(t, load, "promoted", { green: 1 }, 1);
  return green;
}

async function abort(t: Test, scene: KubernetesScene, load: Program, green: string): Promise<void> {
  load.tell("mark again");
  await scene.apply(shop("red"));
  await scene.until(NAME, isPausedAt(1, 20));
  await checkSplit(t, load, "red20", { red: 0.2, green: 0.8 });
  load.tell("mark abort");
  t.equal((await scene.weir("abort", NAME)).code, 0);
  const aborted = await scene.until(
    NAME,
    ({ status }) => status.phase === "Degraded" && status.canary?.weights?.verified === true,
  );
  t.match(aborted.status, {
    abort: true,
    stableRS: green,
    canary: { weights: { canary: { weight: 0 }, stable: { weight: 100 } } },
  });
  await checkSplit(t, load, "aborted", { green: 1 }, 1);
  await onlyRuns(scene, green);
}

/** Paused at this step, with this weight in force in every proxy. */
function isPausedAt(step: number, weight: number): (rollout: Rollout) => boolean {
  return (seen) => {
    const { canary, currentStepIndex } = seen.status;
    const isInForce = canary?.weights?.verified === true && canary.weights.canary.weight === weight;
    return isSettled("Paused")(seen) && currentStepIndex === step && isInForce;
  };
}

async function onlyRuns(scene: KubernetesScene, hash: string): Promise<void> {
  await poll(`only ${hash} runs`, async () => {
    const { [hash]: kept, ...others } = await scene.pods();
    return kept === 3 && Object.keys(others).length === 0;
  });
}

/** Three seconds of load, or as many as asked: each version answered its share, within binomial bounds. */
async function checkSplit(
  t: Test,
  load: Program,
  phase: string,
  shares: Readonly<Record<string, number>>,
  seconds = 3,
): Promise<void> {
  load.tell(`mark ${phase}`);
  await passed(load, phase, seconds);
  load.tell(`mark after-${phase}`);
  const line = await load.said(new RegExp(`"phase":"${phase}","sinceMs"`));
  const versions = versionsOf(JSON.parse(line));
  const all = Object.values(versions).reduce((sum, count) => sum + count, 0);
  t.ok(all > RATE * seconds * 0.8, `${phase}: ${all} requests`);
  t.strictSame(Object.keys(versions).sort(), Object.keys(shares).sort(), `${phase}: who answered`);
  for (const [version, share] of Object.entries(shares)) {
    const bound = SIGMAS * Math.sqrt(all * share * (1 - share));
    const off = Math.abs((versions[version] ?? 0) - all * share);
    t.ok(off <= bound, `${phase}: ${version} answered ${versions[version]} of ${all}`);
  }
}

/** Waits until the load has run for so many whole seconds in a phase. */
async function passed(load: Program, phase: string, seconds: number): Promise<void> {
  await poll(
    `${seconds} s of load`,
    async () => load.output().split(`"phase":"${phase}","inFlight"`).length > seconds + 1,
  );
}

interface PhaseLine {
  readonly versions?: Readonly<Record<string, { readonly statuses: Readonly<Record<string, number>> }>>;
}

function totalOf(load: Program): PhaseLine {
  const line = load
    .output()
    .split("\n")
    .find((one) => one.startsWith('{"total"'));
  if (line === undefined) throw new Error("the load has not said its total");
  return JSON.parse(line);
}

function versionsOf({ versions = {} }: PhaseLine): Record<string, number> {
  const sum = (statuses: Readonly<Record<string, number>>): number =>
    Object.values(statuses).reduce((a, b) => a + b, 0);
  return Object.fromEntries(
    Object.entries(versions).map(([version, { statuses }]) => [version, sum(statuses)]),
  );
}

function statusesOf({ versions = {} }: PhaseLine): readonly string[] {
  return [...new Set(Object.values(versions).flatMap(({ statuses }) => Object.keys(statuses)))];
}

/** The user's routing objects, as they are stored. */
async function routing({ bed, namespace }: KubernetesScene): Promise<readonly unknown[]> {
  const lists = [RESOURCES.gateway, RESOURCES.httpRoute].map((type) => bed.client.list(type, { namespace }));
  return (await Promise.all(lists)).flatMap(({ items }) => items);
}

/** The slices of the real controller carry several endpoints each; the Services point at the promoted version. */
async function checkSlices(t: Test, { bed, namespace }: KubernetesScene, hash: string): Promise<void> {
  const { items } = await bed.client.list(RESOURCES.endpointSlice, { namespace });
  t.strictSame(
    items.map(({ endpoints }) => Array.isArray(endpoints) && endpoints.length),
    [3, 3],
  );
  const { items: found } = await bed.client.list(RESOURCES.service, { namespace });
  t.match(found, [
    { spec: { selector: { app: NAME, "rollouts-pod-template-hash": hash } } },
    { spec: { selector: { app: NAME } } },
  ]);
}
