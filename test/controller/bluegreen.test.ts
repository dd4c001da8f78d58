// Blue-green and acknowledgement, with real controllers and proxies over gRPC: the switch is a promotion only when every proxy that carries the
// Service follows; where none does, none is waited for.
import { test } from "tap";
import { RESOURCES, type Rollout } from "../../src/api/api.ts";
import { explainRollout } from "../../src/controller/controller.ts";
import type { XdsUpdate } from "../../src/xds/client.ts";
import { BOUNDED, isPromoted } from "./acknowledged.ts";
import { type Bed, controllerBed, NAMESPACE } from "./bed.ts";

const strategy = {
  blueGreen: { activeService: "web", previewService: "web-canary", scaleDownDelaySeconds: 30 },
};
const LEASE = { lease: { leaseMs: 15_000, renewMs: 10_000, retryMs: 200 } };
const isSwitched = ({ status }: Rollout): boolean =>
  status.blueGreen?.activeSelector === status.currentPodHash && status.stableRS !== status.currentPodHash;
const isHealthy = ({ status }: Rollout): boolean => status.phase === "Healthy";

async function route(bed: Bed): Promise<void> {
  await bed.client.create(RESOURCES.httpRoute, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "web", namespace: NAMESPACE },
    spec: { parentRefs: [{ name: "edge" }], rules: [{ backendRefs: [{ name: "web", port: 80 }] }] },
  });
}

/** Endpoints of a version in what a proxy has taken. */
function endpointsOf(update: XdsUpdate | undefined, hash: string): number {
  const found = update?.endpoints.find(({ clusterName }) => clusterName.endsWith(`/${hash}`));
  return found?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints).length ?? 0;
}

async function waits(bed: Bed): Promise<string> {
  const lines = await explainRollout(bed, NAMESPACE, "web", AbortSignal.timeout(10_000));
  return (lines ?? []).filter((line) => line.startsWith("waits: ")).join("\n");
}

test("blue-green: a version is stable when every proxy follows the switch", BOUNDED, async (t) => {
  const bed = await controllerBed(t, { strategy });
  await route(bed);
  const leader = await bed.lead();
  const [a, b] = [bed.proxy([leader], "a"), bed.proxy([leader], "b")];
  const { status } = await bed.untilRollout("version 1 is healthy", isHealthy);
  const before = status.stableRS ?? "";
  await bed.until("both serve version 1", () => [a, b].every((proxy) => proxy.weights()?.[before] === 100));
  b.hang();
  await bed.image("2");
  const switched = await bed.untilRollout("switched", isSwitched);
  const after = switched.status.currentPodHash ?? "";
  await bed.until("a follows at once", () => a.weights()?.[after] === 100);
  await bed.holds("not stable while b is silent", isSwitched);
  t.strictSame(b.weights(), { [before]: 100 });
  t.equal(await bed.replicasOf(before), 2, "what b still sends to stays whole");
  await bed.clock.leap(6_000);
  await bed.until("the silence is told", async () => (await waits(bed)).includes("b: has not acknowledged"));
  t.match(
    await waits(bed),
    /^waits: the proxies have not acknowledged the switch: b: has not acknowledged yet( \(.* so far\))?$/m,
  );
  b.accept();
  await bed.untilRollout("promoted", isPromoted(before));
  t.strictSame(
    [a, b].map((proxy) => proxy.weights()),
    [{ [after]: 100 }, { [after]: 100 }],
  );
});

test("blue-green: an abort waits for no proxy", BOUNDED, async (t) => {
  const bed = await controllerBed(t, { strategy });
  await route(bed);
  const leader = await bed.lead();
  const [a, b] = [bed.proxy([leader], "a"), bed.proxy([leader], "b")];
  const { status } = await bed.untilRollout("version 1 is healthy", isHealthy);
  const before = status.stableRS ?? "";
  await bed.until("both serve version 1", () => [a, b].every((proxy) => proxy.weights()?.[before] === 100));
  b.hang();
  await bed.image("2");
  await bed.untilRollout("switched", isSwitched);
  await bed.patch(RESOURCES.rollout, "web", { status: { abort: true } }, "status");
  await bed.untilRollout("switched back", (now) => now.status.blueGreen?.activeSelector === before);
  await bed.until("a follows", () => a.weights()?.[before] === 100);
});

test("blue-green: a Rollout that no proxy carries waits for none", BOUNDED, async (t) => {
  const bed = await controllerBed(t, { strategy });
  const leader = await bed.lead();
  const silent = bed.proxy([leader], "a");
  const { status } = await bed.untilRollout("version 1 is healthy", isHealthy);
  await bed.until("the proxy has its routes", () => silent.taken.length > 0);
  silent.hang();
  await bed.image("2");
  await bed.untilRollout("promoted", isPromoted(status.stableRS ?? ""));
  t.notMatch(await waits(bed), /proxies/);
});

test("blue-green: a gateway without a proxy is waited for by nobody", BOUNDED, async (t) => {
  const bed = await controllerBed(t, { strategy });
  await route(bed);
  await bed.lead();
  const { status } = await bed.untilRollout("version 1 is healthy", isHealthy);
  await bed.image("2");
  await bed.untilRollout("promoted", isPromoted(status.stableRS ?? ""));
  t.pass("promoted");
});

test("blue-green: a new leader goes on waiting for the proxies of its predecessor", BOUNDED, async (t) => {
  const bed = await controllerBed(t, { strategy });
  await route(bed);
  const first = await bed.lead(LEASE);
  const second = await bed.lead({ ...LEASE, isLeading: false });
  const b = bed.proxy([first, second], "b");
  const { status } = await bed.untilRollout("version 1 is healthy", isHealthy);
  const before = status.stableRS ?? "";
  await bed.until("it serves version 1", () => b.weights()?.[before] === 100);
  b.hang();
  await bed.image("2");
  await bed.untilRollout("switched", isSwitched);
  first.kill();
  await bed.clock.leap(16_000);
  await bed.holds("not stable while b is silent", isSwitched);
  b.accept();
  await bed.untilRollout("promoted", isPromoted(before));
  t.equal(b.weights()?.[before], undefined);
});

test(
  "blue-green: no proxy that lags behind an abort loses its version to a new leader",
  BOUNDED,
  async (t) => {
    // Without a preview Service no Service selects the aborted version.
    const { previewService: _none, ...alone } = strategy.blueGreen;
    const bed = await controllerBed(t, { strategy: { blueGreen: alone } });
    await route(bed);
    const first = await bed.lead(LEASE);
    const second = await bed.lead({ ...LEASE, isLeading: false });
    const [a, b] = [bed.proxy([first, second], "a"), bed.proxy([first, second], "b")];
    const { status } = await bed.untilRollout("version 1 is healthy", isHealthy);
    const before = status.stableRS ?? "";
    await bed.until("both serve version 1", () => [a, b].every((proxy) => proxy.weights()?.[before] === 100));
    // It keeps the version from being promoted.
    a.hang();
    await bed.image("2");
    const switched = await bed.untilRollout("switched", isSwitched);
    const after = switched.status.currentPodHash ?? "";
    await bed.until("b serves version 2", () => b.weights()?.[after] === 100);
    b.refuse("not now");
    await bed.patch(RESOURCES.rollout, "web", { status: { abort: true } }, "status");
    await bed.untilRollout("switched back", (now) => now.status.blueGreen?.activeSelector === before);
    const taken = b.taken.length;
    first.kill();
    await bed.clock.leap(16_000);
    await bed.until("the second leads", () => second.controller.isLeading());
    // Something that b takes: one pod more.
    await bed.patch(RESOURCES.rollout, "web", { spec: { replicas: 3 } });
    await bed.until("b hears of it", () => endpointsOf(b.taken.at(-1), before) === 3);
    t.equal(b.weights()?.[after], 100, "b still sends to version 2");
    for (const update of b.taken.slice(taken)) t.ok(endpointsOf(update, after) > 0, update.changed);
    a.accept();
    b.accept();
    await bed.until("both follow", () => [a, b].every((proxy) => proxy.weights()?.[before] === 100));
  },
);

test(
  "blue-green: a Service that no Rollout names any more selects all its pods again",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { strategy });
    await bed.lead();
    await bed.untilRollout("version 1 is healthy", isHealthy);
    const service = async (name: string) => {
      const object = await bed.client.get(RESOURCES.service, { namespace: NAMESPACE, name });
      return { marks: object?.metadata.annotations ?? {}, selector: Object(Object(object?.spec).selector) };
    };
    const isFree = async (name: string) => {
      const { marks, selector } = await service(name);
      return Object.keys(marks).length === 0 && Object.keys(selector).join() === "app" ? true : undefined;
    };
    t.equal(await isFree("web-canary"), undefined);
    await bed.patch(RESOURCES.rollout, "web", {
      spec: { strategy: { blueGreen: { previewService: null } } },
    });
    await bed.until("the preview is free", () => isFree("web-canary"));
    t.match((await service("web")).selector, { "rollouts-pod-template-hash": /./ }, "the active one is not");
    await bed.client.delete(RESOURCES.rollout, { namespace: NAMESPACE, name: "web" });
    await bed.until("the active one is free", () => isFree("web"));
  },
);
