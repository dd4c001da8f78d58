// The ReplicaSets and Services that an Experiment makes, as whole objects, and what keeps it from making them.
import { test } from "tap";
import type { KubeObject, TemplateStatus } from "../../src/api/api.ts";
import type { RefusedWrite } from "../../src/engine/decide.ts";
import {
  changeObject,
  changeSpec,
  changeStatus,
  EXPERIMENT_OWNER,
  experimentStatus,
  experimentWorld,
  nextPass,
  pass,
  templateManifest,
} from "../support/experimentworld.ts";
import type { World } from "../support/world.ts";

const ANNOTATIONS = { "experiment.argoproj.io/name": "duel", "experiment.argoproj.io/template-name": "a" };
const LABELS = { app: "web", template: "a" };

/** The object that the next pass creates under this name. */
function created(world: World, name: string): KubeObject | undefined {
  const action = nextPass(world).actions.find((one) => one.name === name);
  return action !== undefined && "object" in action ? action.object : undefined;
}

/** With a ReplicaSet of its own pods that has none yet. */
function begun(template: object): World {
  const world = experimentWorld([templateManifest("a", template)]);
  pass(world);
  return world;
}

const hashIn = (world: World): string =>
  world.replicaSets.get("duel-a")?.metadata.labels?.["rollouts-pod-template-hash"] ?? "none";

/** What the next pass does, in short, and how it leaves the template. */
function outcome(world: World): readonly [readonly string[], TemplateStatus["status"], string | undefined] {
  const { actions, status } = nextPass(world);
  const [template] = status.templateStatuses ?? [];
  return [actions.map(({ kind, name }) => `${kind} ${name}`), template?.status, template?.message];
}

interface Port {
  readonly name?: string;
  readonly port: number;
}

/** Pods of one container with these ports. */
const listening = (...ports: readonly object[]): object => ({
  service: {},
  template: { metadata: { labels: LABELS }, spec: { containers: [{ name: "main", image: "web:a", ports }] } },
});

test("experiment: the ReplicaSet of a template has its pods, a hash of its own and no size yet", (t) => {
  const selector = { matchLabels: LABELS, matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] };
  const pods = {
    metadata: {
      labels: { ...LABELS, "rollouts-pod-template-hash": "of-the-version" },
      annotations: { team: "shop" },
    },
    spec: { containers: [{ name: "main", image: "web:a" }], unknownField: { kept: true } },
  };
  const world = experimentWorld([
    templateManifest("a", { replicas: 3, minReadySeconds: 5, selector, template: pods }),
  ]);
  const made = created(world, "duel-a");
  const hash = made?.metadata.labels?.["rollouts-pod-template-hash"] ?? "";
  t.match(hash, /^[a-z0-9]{5,10}$/);
  const hashLabel = { "rollouts-pod-template-hash": hash };
  t.strictSame(made, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: "duel-a",
      namespace: "default",
      labels: hashLabel,
      annotations: ANNOTATIONS,
      ownerReferences: [EXPERIMENT_OWNER],
    },
    spec: {
      replicas: 0,
      minReadySeconds: 5,
      selector: { ...selector, matchLabels: { ...LABELS, ...hashLabel } },
      template: { ...pods, metadata: { ...pods.metadata, labels: { ...LABELS, ...hashLabel } } },
    },
  });
  t.end();
});

test("experiment: a ReplicaSet says nothing of minReadySeconds where the template asks for none", (t) => {
  for (const template of [{}, { minReadySeconds: 0 }]) {
    const made = created(experimentWorld([templateManifest("a", template)]), "duel-a");
    t.strictSame(Object.keys(Object(made?.spec)), ["replicas", "selector", "template"]);
  }
  t.end();
});

test("experiment: the Service of a template leads to its pods by every port of their containers", (t) => {
  const ports = [
    { name: "http", containerPort: 8080, protocol: "TCP", hostPort: 80 },
    { name: "", containerPort: 53, protocol: "UDP" },
    { name: "metrics", containerPort: 9090, protocol: "" },
  ];
  const containers = [
    { name: "main", image: "web:a", ports },
    { name: "plain", image: "web:a" },
    { name: "side", image: "web:a", ports: [{ containerPort: 15000 }] },
  ];
  const world = begun({ service: {}, template: { metadata: { labels: LABELS }, spec: { containers } } });
  t.strictSame(created(world, "duel-a"), {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "duel-a",
      namespace: "default",
      annotations: ANNOTATIONS,
      ownerReferences: [EXPERIMENT_OWNER],
    },
    spec: {
      selector: { "rollouts-pod-template-hash": hashIn(world) },
      ports: [
        { name: "http", protocol: "TCP", port: 8080, targetPort: 8080 },
        { name: "port-2", protocol: "UDP", port: 53, targetPort: 53 },
        { name: "metrics", port: 9090, targetPort: 9090 },
        { name: "port-4", port: 15000, targetPort: 15000 },
      ],
    },
  });
  t.end();
});

test("experiment: of several ports each has a name of its own, the only one the name that it was given", (t) => {
  const cases: readonly [string, readonly object[], readonly (readonly [string | undefined, number])[]][] = [
    ["one without a name", [{ containerPort: 80 }], [[undefined, 80]]],
    [
      "several without a name",
      [{ containerPort: 80 }, { containerPort: 81 }],
      [
        ["port-1", 80],
        ["port-2", 81],
      ],
    ],
    [
      "a name like those that are made up",
      [{ containerPort: 80 }, { name: "port-1", containerPort: 81 }, { containerPort: 82 }],
      [
        ["port-2", 80],
        ["port-1", 81],
        ["port-3", 82],
      ],
    ],
    [
      "a name twice, as two containers may have it",
      [
        { name: "http", containerPort: 80 },
        { name: "http", containerPort: 81 },
      ],
      [
        ["http", 80],
        ["port-2", 81],
      ],
    ],
    [
      "a port twice",
      [{ containerPort: 80 }, { containerPort: 80, protocol: "TCP", hostIP: "10.0.0.1", hostPort: 80 }],
      [[undefined, 80]],
    ],
    [
      "one port of two protocols",
      [{ containerPort: 53 }, { containerPort: 53, protocol: "UDP" }],
      [
        ["port-1", 53],
        ["port-2", 53],
      ],
    ],
  ];
  for (const [words, ports, expected] of cases) {
    // A Service that the engine wrote has ports.
    const spec = created(begun(listening(...ports)), "duel-a")?.spec as
      | { ports: readonly Port[] }
      | undefined;
    t.strictSame(
      spec?.ports.map(({ name, port }) => [name, port]),
      expected,
      words,
    );
  }
  t.end();
});

test("experiment: a Service has the name that the template gives, or its ReplicaSet's", (t) => {
  for (const [service, expected] of [
    [{ name: "lab" }, "lab"],
    [{ name: "" }, "duel-a"],
    [{}, "duel-a"],
  ] as const) {
    const { status, actions } = nextPass(begun({ service }));
    t.match(actions, [{ kind: "createService", name: expected, reason: "template a asks for a Service" }]);
    t.match(status.templateStatuses, [{ serviceName: expected }], "told in the pass that makes it");
  }
  t.end();
});

test("experiment: no Service is made for pods that declare no port, and it says so", (t) => {
  const wait = { code: "valid", text: "template a declares no container port: no Service can lead to it" };
  const world = begun(listening());
  t.strictSame(outcome(world)[0], ["scaleReplicaSet duel-a"]);
  t.match(nextPass(world).waits, [wait]);
  // Objects in the API may have less than weir writes.
  for (const template of [{ spec: { containers: null } }, { spec: null }, null]) {
    changeObject(world, "replicaSets", "duel-a", { spec: { template } });
    t.ok(
      nextPass(world).waits.some(({ code, text }) => code === wait.code && text === wait.text),
      JSON.stringify(template),
    );
  }
  t.end();
});

test("experiment: what the API has refused makes an Error of the template that it was for, and of no other", (t) => {
  const quota = "exceeded quota";
  const replicaSet: RefusedWrite = { kind: "ReplicaSet", name: "duel-a", message: quota };
  const service: RefusedWrite = { kind: "Service", name: "duel-a", message: quota };
  const fresh = (refused: readonly RefusedWrite[]) => {
    const world = experimentWorld([templateManifest("a", { service: {} })]);
    world.refused.set("duel", refused);
    return outcome(world);
  };
  const failed = `Failed to create ReplicaSet for template 'a': ${quota}`;
  t.strictSame(fresh([replicaSet]), [[], "Error", failed]);
  t.strictSame(fresh([service, { ...replicaSet, name: "duel-b" }, replicaSet]), [[], "Error", failed]);
  t.strictSame(fresh([service]), [["createReplicaSet duel-a"], "Progressing", undefined]);
  t.strictSame(fresh([{ ...replicaSet, name: "duel-b" }]), [
    ["createReplicaSet duel-a"],
    "Progressing",
    undefined,
  ]);
  const grown = (refused: readonly RefusedWrite[]) => {
    const world = begun({ service: {} });
    world.refused.set("duel", refused);
    return outcome(world);
  };
  const unserved = `Failed to create Service duel-a for template 'a': ${quota}`;
  const both = ["createService duel-a", "scaleReplicaSet duel-a"];
  t.strictSame(grown([service]).slice(1), ["Error", unserved]);
  t.strictSame(grown([replicaSet, { ...service, name: "duel-b" }, service]).slice(1), ["Error", unserved]);
  t.strictSame(grown([replicaSet]), [both, "Progressing", undefined]);
  t.strictSame(grown([{ ...service, name: "duel-b" }]), [both, "Progressing", undefined]);
  t.end();
});

test("experiment: begun anew with other pods, it waits until the old ReplicaSet is gone", (t) => {
  const world = experimentWorld([templateManifest("a")]);
  world.settle();
  const { resourceVersion } = world.replicaSets.get("duel-a")?.metadata ?? {};
  changeSpec(world, { templates: [templateManifest("a", { selector: { matchLabels: { app: "web" } } })] });
  changeStatus(world, { phase: null, templateStatuses: null, availableAt: null });
  t.strictSame(nextPass(world).actions, [
    {
      kind: "deleteReplicaSet",
      namespace: "default",
      name: "duel-a",
      uid: "uid-duel-a",
      resourceVersion,
      reason: "template a is written otherwise now",
    },
  ]);
  changeObject(world, "replicaSets", "duel-a", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
  const { actions, waits, requeueAtMs } = nextPass(world);
  t.strictSame(actions, []);
  t.strictSame(waits, [{ code: "replicas", text: "ReplicaSet duel-a is being deleted" }]);
  t.equal(requeueAtMs, world.nowMs + 1000);
  world.replicaSets.delete("duel-a");
  t.strictSame(outcome(world), [["createReplicaSet duel-a"], "Progressing", undefined]);
  t.end();
});

test("experiment: somebody else's ReplicaSet under the template's name is left alone, the next name is tried at once", (t) => {
  const world = experimentWorld([templateManifest("a")]);
  const metadata = { name: "duel-a", namespace: "default" };
  world.add("replicaSets", { apiVersion: "apps/v1", kind: "ReplicaSet", metadata, spec: { selector: {} } });
  const { actions, requeueAtMs } = nextPass(world);
  t.strictSame([actions, requeueAtMs], [[], world.nowMs + 1]);
  pass(world);
  t.match(experimentStatus(world).templateStatuses, [{ collisionCount: 1, status: "Progressing" }]);
  t.strictSame(outcome(world), [["createReplicaSet duel-a-1"], "Progressing", undefined]);
  t.end();
});
