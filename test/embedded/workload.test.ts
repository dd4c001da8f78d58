// The workload controllers against the embedded server, with pods that are real processes.
import { test } from "tap";
import { controllerOf, type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { isPodReady, readPod } from "../../src/embedded/agent/podspec.ts";
import { workloadBed } from "../support/workloads.ts";

const DEMO = {
  name: "web",
  image: "argoproj/rollouts-demo:blue",
  ports: [{ containerPort: 8080, name: "http" }],
  readinessProbe: { periodSeconds: 1, httpGet: { path: "/healthz", port: "http" } },
};
const SLEEPER = { name: "web", image: "any", command: ["sleep", "600"] };

function replicaSet(
  replicas: number,
  container: object = SLEEPER,
  extra: object = {},
): Record<string, unknown> {
  return {
    metadata: { name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" }, annotations: { note: "kept" } },
        spec: { terminationGracePeriodSeconds: 1, containers: [container] },
      },
      ...extra,
    },
  };
}

const web = { namespace: "default", name: "web" };
const statusOf = (object: KubeObject | undefined): Record<string, unknown> =>
  (object?.status ?? {}) as Record<string, unknown>;

interface Slice {
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly conditions: Readonly<Record<string, boolean>>;
    readonly targetRef: { readonly kind: string; readonly name: string };
  }[];
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
}
const asSlice = (object: KubeObject): Slice => object as unknown as Slice;

test("workload: a ReplicaSet becomes processes that answer at the addresses of the Service's slices", async (t) => {
  const bed = await workloadBed(t);
  await bed.startControllers();
  await bed.startAgent();
  await bed.create(RESOURCES.service, {
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  });
  await bed.create(RESOURCES.replicaSet, replicaSet(3, DEMO));
  const slices = await bed.untilList(
    RESOURCES.endpointSlice,
    (found) => found.length === 3 && found.every((slice) => asSlice(slice).endpoints[0]?.conditions.ready),
  );
  const answers = await Promise.all(
    slices.map(async (object) => {
      const { endpoints, ports } = asSlice(object);
      t.match(object.metadata.labels, { "kubernetes.io/service-name": "web" });
      t.equal(controllerOf(object)?.name, "web");
      t.match(endpoints[0]?.targetRef, { kind: "Pod", name: /^web-/ });
      t.match(ports, [{ name: "http", protocol: "TCP" }]);
      const response = await fetch(`http://${endpoints[0]?.addresses[0]}:${ports[0]?.port}/color`);
      return response.json();
    }),
  );
  t.same(answers, ["blue", "blue", "blue"]);
  const set = await bed.until(
    RESOURCES.replicaSet,
    "web",
    (found) => statusOf(found).availableReplicas === 3,
  );
  t.match(statusOf(set), { replicas: 3, readyReplicas: 3, fullyLabeledReplicas: 3, observedGeneration: 1 });

  await bed.client.patch(RESOURCES.replicaSet, web, { type: "merge", body: { spec: { replicas: 1 } } });
  const [slice, ...others] = await bed.untilList(RESOURCES.endpointSlice, (found) => found.length === 1);
  t.equal(others.length, 0);
  t.equal((await fetch(`http://127.0.0.1:${slice && asSlice(slice).ports[0]?.port}/color`)).status, 200);
  await bed.client.delete(RESOURCES.replicaSet, web);
  await bed.untilList(RESOURCES.pod, (pods) => pods.length === 0);
  await bed.untilList(RESOURCES.endpointSlice, (found) => found.length === 0);
});

test("workload: pods are made from the template, once, however often the set is touched", async (t) => {
  const bed = await workloadBed(t);
  await bed.startControllers();
  await bed.create(RESOURCES.replicaSet, replicaSet(5));
  for (let touch = 0; touch < 20; touch += 1) {
    const body = { metadata: { annotations: { touch: String(touch) } } };
    await bed.client.patch(RESOURCES.replicaSet, web, { type: "merge", body });
  }
  await bed.until(RESOURCES.replicaSet, "web", (found) => statusOf(found).replicas === 5);
  const pods = await bed.untilList(RESOURCES.pod, (found) => found.length === 5);
  for (const pod of pods) {
    t.match(pod.metadata, { labels: { app: "web" }, annotations: { note: "kept" }, generateName: "web-" });
    t.match(controllerOf(pod), { kind: "ReplicaSet", name: "web", blockOwnerDeletion: true });
  }
  t.equal((await bed.eventsOf("web")).filter((event) => event.startsWith("SuccessfulCreate")).length, 5);
});

test("workload: an orphan that fits is adopted, a pod that no longer fits is released and replaced", async (t) => {
  const bed = await workloadBed(t);
  const pod = { metadata: { name: "orphan", labels: { app: "web" } }, spec: { containers: [SLEEPER] } };
  await bed.create(RESOURCES.pod, pod);
  await bed.startControllers();
  const set = await bed.create(RESOURCES.replicaSet, replicaSet(1));
  const adopted = await bed.until(
    RESOURCES.pod,
    "orphan",
    (found) => found !== undefined && controllerOf(found) !== undefined,
  );
  t.equal(adopted && controllerOf(adopted)?.uid, set.metadata.uid);
  t.equal((await bed.client.list(RESOURCES.pod)).items.length, 1, "no second pod beside the adopted one");
  const body = { metadata: { labels: { app: "other" } } };
  await bed.client.patch(RESOURCES.pod, { namespace: "default", name: "orphan" }, { type: "merge", body });
  const pods = await bed.untilList(RESOURCES.pod, (found) => found.length === 2);
  const released = await bed.until(
    RESOURCES.pod,
    "orphan",
    (found) => found !== undefined && controllerOf(found) === undefined,
  );
  t.ok(released);
  t.equal(pods.filter((found) => controllerOf(found)?.uid === set.metadata.uid).length, 1);
});

test("workload: a pod counts as available only after minReadySeconds", async (t) => {
  const bed = await workloadBed(t);
  await bed.startControllers();
  await bed.startAgent();
  await bed.create(RESOURCES.replicaSet, replicaSet(1, SLEEPER, { minReadySeconds: 2 }));
  const ready = await bed.until(RESOURCES.replicaSet, "web", (found) => statusOf(found).readyReplicas === 1);
  t.equal(statusOf(ready).availableReplicas, 0);
  const since = Date.now();
  await bed.until(RESOURCES.replicaSet, "web", (found) => statusOf(found).availableReplicas === 1);
  t.ok(Date.now() - since > 500, "it took a while");
});

test("workload: a pod that the server refuses becomes ReplicaFailure, and goes away with its cause", async (t) => {
  const bed = await workloadBed(t);
  await bed.startControllers();
  // A ReplicaSet's template is not asked for everything that its pods are.
  const template = {
    metadata: { labels: { app: "web" }, finalizers: ["-"] },
    spec: { containers: [SLEEPER] },
  };
  await bed.create(RESOURCES.replicaSet, replicaSet(2, SLEEPER, { template }));
  const failed = await bed.until(RESOURCES.replicaSet, "web", (found) =>
    JSON.stringify(statusOf(found).conditions ?? []).includes("FailedCreate"),
  );
  t.match(statusOf(failed).conditions, [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate" }]);
  t.ok((await bed.eventsOf("web")).some((event) => event.startsWith("FailedCreate: Error creating: ")));
  await bed.client.patch(RESOURCES.replicaSet, web, { type: "merge", body: { spec: { replicas: 0 } } });
  await bed.until(
    RESOURCES.replicaSet,
    "web",
    (found) => (statusOf(found).conditions as unknown[]).length === 0,
  );
});

test("workload: a terminating pod stays in its slice as terminating and not ready; foreign slices stay as they are", async (t) => {
  const bed = await workloadBed(t);
  await bed.startControllers();
  await bed.startAgent();
  const foreign = {
    metadata: { name: "mine", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.9"] }],
    ports: [{ name: "", port: 99, protocol: "TCP" }],
  };
  await bed.create(RESOURCES.endpointSlice, foreign);
  const ports = [{ port: 80, targetPort: 9999 }];
  await bed.create(RESOURCES.service, {
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports },
  });
  await bed.create(RESOURCES.service, { metadata: { name: "manual" }, spec: { ports } });
  const stubborn = { ...SLEEPER, command: ["sh", "-c", 'trap "" TERM; while :; do sleep 0.1; done'] };
  await bed.create(RESOURCES.replicaSet, replicaSet(1, stubborn));
  const own = (found: readonly KubeObject[]): KubeObject | undefined =>
    found.find(({ metadata }) => metadata.name !== "mine");
  const [pod] = await bed.untilList(RESOURCES.pod, (found) => found.some((one) => isPodReady(readPod(one))));
  await bed.untilList(RESOURCES.endpointSlice, (found) => own(found) !== undefined);
  await bed.client.delete(RESOURCES.replicaSet, web, { propagationPolicy: "Background" });
  const slices = await bed.untilList(RESOURCES.endpointSlice, (found) => {
    const slice = own(found);
    return slice !== undefined && asSlice(slice).endpoints[0]?.conditions.terminating === true;
  });
  const slice = own(slices);
  t.same(slice && asSlice(slice).endpoints[0]?.conditions, {
    ready: false,
    serving: true,
    terminating: true,
  });
  t.equal(slice && asSlice(slice).ports[0]?.port, 9999, "an undeclared target port is taken as it is");
  await bed.until(RESOURCES.pod, pod?.metadata.name ?? "", (found) => found === undefined);
  const left = await bed.untilList(RESOURCES.endpointSlice, (found) => own(found) === undefined);
  t.match(left, [{ metadata: { name: "mine" }, endpoints: [{ addresses: ["10.0.0.9"] }] }]);
});
