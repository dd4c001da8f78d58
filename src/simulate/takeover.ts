// A world in which another installation of Argo Rollouts has worked before: its ReplicaSets under hashes of its own, its status. And objects
// that stand in the way under a computed name. For scripts.
import { type KubeObject, POD_HASH_LABEL } from "../api/api.ts";
import { asObject } from "../lib/json.ts";
import type { World } from "./world.ts";

const CONDITIONS = [
  {
    type: "Available",
    status: "True",
    reason: "AvailableReason",
    message: "Rollout has minimum availability",
  },
];

/** The Rollout as Argo left it: `stable` alone, or `stable,canary` paused at the step after the first; `pods` are those of each. */
export function takeOverFrom(world: World, text: string): void {
  const [stable = "", canary] = text.split(",");
  const replicas = Number(asObject(world.rollout.spec).replicas);
  const image = canary === undefined ? "web:1" : "web:2";
  const canaryPods = canary === undefined ? 0 : Math.ceil(replicas / 2);
  addVersion(world, { hash: stable, image: "web:1", revision: 1, replicas: replicas - canaryPods });
  if (canary !== undefined) addVersion(world, { hash: canary, image, revision: 2, replicas: canaryPods });
  for (const service of world.services.values()) {
    const annotations = { "argo-rollouts.argoproj.io/managed-by-rollouts": world.rollout.metadata.name };
    const selector = { ...asObject(asObject(service.spec).selector), [POD_HASH_LABEL]: stable };
    const spec = { ...asObject(service.spec), selector };
    world.add("services", { ...service, metadata: { ...service.metadata, annotations }, spec });
  }
  world.editSpec({ template: templateOf(image) });
  const current = canary ?? stable;
  const { metadata } = world.rollout;
  world.rollout = {
    ...world.rollout,
    metadata: {
      ...metadata,
      annotations: { "rollout.argoproj.io/revision": canary === undefined ? "1" : "2" },
    },
  };
  const at = "2025-12-31T00:00:00Z";
  const paused = {
    currentStepIndex: 1,
    controllerPause: true,
    pauseConditions: [{ reason: "CanaryPauseStep", startTime: at }],
    phase: "Paused",
    message: "CanaryPauseStep",
  };
  const { strategy } = asObject(world.rollout.spec);
  const { steps } = asObject(asObject(strategy).canary);
  world.patchStatus({
    observedGeneration: String(metadata.generation),
    currentPodHash: current,
    currentStepHash: "65f54888bf",
    stableRS: stable,
    conditions: [
      ...CONDITIONS,
      {
        type: "Completed",
        status: canary === undefined ? "True" : "False",
        reason: "RolloutCompleted",
        message: "RolloutCompleted",
      },
    ],
    ...(canary === undefined
      ? { currentStepIndex: Array.isArray(steps) ? steps.length : 0, phase: "Healthy" }
      : paused),
  });
  world.runReplicaSets();
}

/** Somebody else's ReplicaSet under that name; `going`: on its way out. */
export function standInTheWay(world: World, [name = "", how]: readonly string[]): void {
  world.add("replicaSets", {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name,
      namespace: "default",
      ownerReferences: [
        { apiVersion: "v1", kind: "Other", name: "other", uid: "uid-other", controller: true },
      ],
      ...(how === "going" ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: { replicas: 0, selector: { matchLabels: { app: "other" } }, template: templateOf("other:1") },
    status: { replicas: 0 },
  });
}

interface Version {
  readonly hash: string;
  readonly image: string;
  readonly revision: number;
  readonly replicas: number;
}

function addVersion(world: World, { hash, image, revision, replicas }: Version): void {
  const { name, namespace = "", uid = "" } = world.rollout.metadata;
  const labels = { app: "web", [POD_HASH_LABEL]: hash };
  const owner = { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", name, uid, controller: true };
  world.add("replicaSets", {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels,
      annotations: {
        "rollout.argoproj.io/revision": String(revision),
        "rollout.argoproj.io/desired-replicas": String(asObject(world.rollout.spec).replicas),
      },
      ownerReferences: [{ ...owner, blockOwnerDeletion: true }],
      creationTimestamp: `2025-12-0${revision}T00:00:00Z`,
    },
    spec: { replicas, selector: { matchLabels: labels }, template: filledIn(image, labels) },
    status: { replicas: 0 },
  });
}

function templateOf(image: string): KubeObject["spec"] {
  return { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image }] } };
}

/** As the API server gives it back. */
function filledIn(image: string, labels: Readonly<Record<string, string>>): unknown {
  const container = {
    name: "main",
    image,
    imagePullPolicy: "IfNotPresent",
    terminationMessagePolicy: "File",
  };
  return {
    metadata: { labels, creationTimestamp: null },
    spec: {
      containers: [container],
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      securityContext: {},
    },
  };
}
