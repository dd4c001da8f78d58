// Weights with a router, by hand from spec 2.5 and 2.6: when a share may rise, when it falls, and when what is there stays. Ten pods; the
// steps go to 20, then to 60.
import { test } from "tap";
import { readExperiment } from "../../src/api/api.ts";
import { type Context, contextOf } from "../../src/engine/context.ts";
import { firstStage, type Mode } from "../../src/engine/stage.ts";
import type { InForce } from "../../src/engine/traffic/inforce.ts";
import { desiredWeights } from "../../src/engine/traffic/weights.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";

interface Row {
  readonly name: string;
  /** Default: 0, where the weight is 20. */
  readonly index?: number;
  readonly mode?: Mode;
  /** The canary's weight in the status; default 0. */
  readonly has?: number;
  /** Whose it is, when a later version has replaced it: then these are its available pods. */
  readonly replaced?: number;
  /** Pods of the canary: asked for and available. Default 2 and 2. */
  readonly canary?: readonly [spec: number, available: number];
  /** Stable's available pods; default 10. */
  readonly stable?: number;
  readonly inForce?: InForce;
  readonly isDynamic?: true;
  readonly isPaused?: true;
  /** The canary Service still selects stable. */
  readonly isUnselected?: true;
  readonly replicas?: number;
  /** What the canary gets, and what is waited for. */
  readonly gets: number;
  readonly waits?: readonly string[];
}

const SILENT: InForce = { kind: "no", words: "proxy-1 is silent", isOverdue: false };
const TOO_FEW = "the stable version has too few available pods for its traffic";

const ROWS: readonly Row[] = [
  { name: "a canary whose pods are there gets its share", gets: 20 },
  {
    name: "no share rises while a pod is missing",
    canary: [2, 1],
    gets: 0,
    waits: ["the canary has 1 of 2 pods available"],
  },
  {
    name: "no share rises before the pods are asked for",
    canary: [1, 2],
    gets: 0,
    waits: ["the canary has 2 of 2 pods available"],
  },
  { name: "no share rises while proxies are silent", inForce: SILENT, gets: 0, waits: ["proxy-1 is silent"] },
  {
    name: "no share rises while the user has paused",
    isPaused: true,
    gets: 0,
    waits: ["paused by the user"],
  },
  {
    name: "no share rises before the Service leads to the canary",
    isUnselected: true,
    gets: 0,
    waits: ["the canary Service does not select the canary's pods yet"],
  },
  { name: "a share stays though proxies are silent", has: 20, inForce: SILENT, gets: 20 },
  { name: "a share that is set stays when some pods go", has: 20, canary: [2, 1], gets: 20 },
  { name: "a share falls though proxies are silent", has: 60, inForce: SILENT, gets: 20 },
  { name: "a share falls as soon as stable has the pods", has: 60, stable: 8, gets: 20 },
  { name: "a share that stable cannot take stays", has: 60, stable: 7, gets: 60, waits: [TOO_FEW] },
  { name: "a canary without pods loses all", has: 60, canary: [6, 0], stable: 7, gets: 0 },
  {
    name: "nothing goes to a stable version without pods",
    has: 60,
    canary: [6, 0],
    stable: 0,
    gets: 60,
    waits: [TOO_FEW],
  },
  { name: "an abort gives back all at once", mode: "aborted", has: 60, stable: 1, gets: 0 },
  {
    name: "an abort gives nothing to a stable version without pods",
    mode: "aborted",
    has: 60,
    stable: 0,
    gets: 60,
    waits: [
      "60 % of the traffic stays with version 7dcbc4c9bf until stable can carry it: 0 of 10 pods available",
    ],
  },
  { name: "past the steps a whole version gets all", index: 2, has: 60, canary: [10, 10], gets: 100 },
  {
    name: "past the steps a version that is not whole gets no more",
    index: 2,
    has: 60,
    canary: [10, 9],
    gets: 60,
    waits: ["the canary has 9 of 10 pods available"],
  },
  { name: "a full promotion gives all", mode: "promoteFull", has: 20, canary: [10, 10], gets: 100 },
  {
    name: "a full promotion waits for all pods",
    mode: "promoteFull",
    has: 20,
    canary: [10, 9],
    gets: 20,
    waits: ["the canary has 9 of 10 pods available"],
  },
  {
    name: "dynamic: a full promotion goes pod by pod",
    mode: "promoteFull",
    has: 20,
    canary: [10, 5],
    stable: 8,
    isDynamic: true,
    gets: 50,
  },
  {
    name: "dynamic: more pods than are wanted are no more than all",
    mode: "promoteFull",
    has: 20,
    canary: [12, 12],
    stable: 8,
    isDynamic: true,
    gets: 100,
  },
  {
    name: "without pods at all a full promotion waits for none",
    mode: "promoteFull",
    replicas: 0,
    gets: 100,
  },
  {
    name: "dynamic: without pods at all a full promotion waits for none",
    mode: "promoteFull",
    replicas: 0,
    isDynamic: true,
    gets: 100,
  },
  { name: "without pods at all the steps' share is told", replicas: 0, canary: [0, 0], gets: 20 },
  {
    name: "a version that replaces the canary begins at 0, though stable lacks a few pods",
    has: 60,
    replaced: 6,
    canary: [2, 0],
    stable: 5,
    gets: 0,
  },
  {
    name: "dynamic: it begins when stable has grown but for those that may be missing",
    has: 60,
    replaced: 6,
    canary: [2, 0],
    stable: 8,
    isDynamic: true,
    gets: 0,
  },
  {
    name: "dynamic: not before",
    has: 60,
    replaced: 6,
    canary: [2, 0],
    stable: 7,
    isDynamic: true,
    gets: 60,
    waits: [TOO_FEW],
  },
];

for (const row of ROWS)
  test(`weights: ${row.name}`, (t) => {
    const { context, stage, mode, inForce } = scene(row);
    const { weights, waits } = desiredWeights(context, mode, stage, inForce);
    t.equal(weights?.canary.weight, row.gets);
    t.equal(weights?.stable.weight, 100 - row.gets);
    t.strictSame([...new Set(waits.map(({ text }) => text))], row.waits ?? []);
    t.end();
  });

test("weights: verified once the proxies follow, until the weights change", (t) => {
  const rows: [row: Row, wasVerified: boolean, verified: boolean][] = [
    [{ name: "", has: 20, gets: 20 }, false, true],
    [{ name: "", has: 20, inForce: SILENT, gets: 20 }, false, false],
    [{ name: "", has: 20, inForce: SILENT, gets: 20 }, true, true],
    [{ name: "", has: 0, gets: 20 }, true, false],
    [{ name: "", has: 60, gets: 20 }, true, false],
  ];
  for (const [row, wasVerified, verified] of rows) {
    const { context, stage, mode, inForce } = scene(row, wasVerified);
    t.equal(desiredWeights(context, mode, stage, inForce).weights?.verified, verified);
  }
  t.end();
});

test("weights: shares of an experiment rise only while the proxies follow, and fall at any time", (t) => {
  const rows: [before: readonly number[], inForce: InForce, wanted: readonly number[], waits: number][] = [
    [[], { kind: "yes" }, [5, 15], 0],
    [[], SILENT, [0, 0], 1],
    [[5, 5], SILENT, [5, 5], 1],
    [[8, 20], SILENT, [5, 15], 0],
    [[8, 10], SILENT, [5, 10], 1],
  ];
  for (const [before, inForce, wanted, waits] of rows) {
    const decided = desiredWeightsOf(before, inForce);
    t.strictSame(
      decided.weights?.additional?.map(({ weight }) => weight),
      wanted,
    );
    t.equal(decided.weights?.stable.weight, 80 - wanted.reduce((sum, weight) => sum + weight, 0));
    t.equal(decided.waits.length, waits);
  }
  t.end();
});

/** At an experiment's step with two templates, of 5 and 15; `before`: the shares that they have. */
function desiredWeightsOf(before: readonly number[], inForce: InForce) {
  const { context } = scene({ name: "", has: 20, gets: 20 });
  const destinations = ["one", "two"].map((name) => ({ serviceName: `exp-${name}`, podTemplateHash: name }));
  const owner = { apiVersion: "v1", kind: "Rollout", name: "web", uid: context.uid, controller: true };
  const experiment = readExperiment({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Experiment",
    metadata: { name: "exp", namespace: "default", ownerReferences: [owner] },
    spec: { templates: [] },
    status: {
      phase: "Running",
      templateStatuses: destinations.map((one) => ({ name: one.podTemplateHash, ...one })),
    },
  }).value;
  const template = (name: string, weight: number) => ({ name, specRef: "canary" as const, weight });
  const templates = [template("one", 5), template("two", 15)];
  const { weights } = context.status.canary ?? {};
  if (weights === undefined) throw new Error("the scene has weights");
  const additional = before.map((weight, index) => ({ weight, ...destinations[index] }));
  const last = { ...weights, ...(before.length > 0 && { additional }) };
  const at: Context = {
    ...context,
    snapshot: { ...context.snapshot, experiments: [experiment] },
    steps: [[{ kind: "setWeight", weight: 20 }], [{ kind: "experiment", experiment: { templates } }]],
    status: { ...context.status, canary: { ...context.status.canary, weights: last } },
  };
  return desiredWeights(at, "steps", { ...firstStage(at), index: 1, experiment: "exp" }, inForce);
}

function scene(row: Row, verified = true) {
  const { replicas = 10, index = 0, mode = "steps", has = 0, inForce = { kind: "yes" } } = row;
  const world = worldWith({
    replicas: 10,
    isRouted: true,
    steps: [{ setWeight: 20 }, { setWeight: 60 }],
    canary: row.isDynamic === undefined ? {} : { dynamicStableScale: true },
  });
  world.settle();
  world.readiness = "manual";
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const replacedHash = world.status().currentPodHash ?? "";
  if (row.replaced !== undefined) {
    world.editSpec(imagePatch("web:3"));
    world.settle();
    setPods(world, replacedHash, 6, row.replaced);
  }
  const { stableRS = "", currentPodHash = "" } = world.status();
  const [spec, available] = row.canary ?? [2, 2];
  setPods(world, currentPodHash, spec, available);
  setPods(world, stableRS, 10, row.stable ?? 10);
  world.editSpec({ replicas, ...(row.isPaused && { paused: true }) });
  const names = { canary: { serviceName: "web-canary" }, stable: { serviceName: "web-stable" } };
  const holder = row.replaced === undefined ? currentPodHash : replacedHash;
  const canary = { weight: has, podTemplateHash: holder, ...names.canary };
  const stable = { weight: 100 - has, podTemplateHash: stableRS, ...names.stable };
  world.patchStatus({ canary: { weights: { canary, stable, verified } } });
  const service = world.services.get("web-canary");
  const selector = { app: "web", "rollouts-pod-template-hash": row.isUnselected ? stableRS : currentPodHash };
  if (service !== undefined)
    world.add("services", { ...service, spec: { ...Object(service.spec), selector } });
  const context = contextOf(world.snapshot(), world.nowMs);
  return { context, stage: { ...firstStage(context), index }, mode, inForce };
}

function setPods(world: World, hash: string, replicas: number, availableReplicas: number): void {
  const replicaSet = world.replicaSets.get(`web-${hash}`);
  if (replicaSet === undefined) throw new Error(`there is no version ${hash}`);
  const spec = { ...Object(replicaSet.spec), replicas };
  world.replicaSets.set(`web-${hash}`, { ...replicaSet, spec, status: { replicas, availableReplicas } });
}
