// The sizes of a canary's versions against the answers of Argo Rollouts itself (scripts/go/replicas asks its functions): the split aimed
// at, the sizes to ask for now without a router, and those with one.
import { readFileSync } from "node:fs";
import { test } from "tap";
import { contextOf } from "../../src/engine/context.ts";
import { nearestSplit, nextSizes, type PodCounts, type Split } from "../../src/engine/pods/replicas.ts";
import { canaryPods } from "../../src/engine/pods/routedsizes.ts";
import { worldWith } from "../support/world.ts";

interface Vector {
  readonly kind: "target" | "basic" | "routed";
  readonly replicas: number;
  readonly weight: number;
  readonly maxSurge?: number | string;
  readonly maxUnavailable?: number | string;
  readonly maxTrafficWeight?: number;
  readonly minPodsPerReplicaSet?: number;
  readonly canary?: PodCounts;
  readonly stable?: PodCounts;
  readonly isPromoted?: boolean;
  readonly others?: readonly number[];
  readonly want: Split;
}

/** Where weir's answer is another one on purpose (src/engine/README.md), by name. */
const DELIBERATE: Readonly<Record<string, (vector: Vector) => boolean>> = {
  "minPodsPerReplicaSet above replicas counts as replicas": ({
    replicas,
    minPodsPerReplicaSet = 0,
    weight,
  }) => weight > 0 && minPodsPerReplicaSet > replicas,
};

// The file is written by our own generator in this shape.
const vectors = JSON.parse(
  readFileSync(new URL("../compat/replicas.vectors.json", import.meta.url), "utf8"),
) as readonly Vector[];

const ask: Readonly<Record<Vector["kind"], (vector: Vector) => Split>> = {
  target: (vector) => nearestSplit({ ...limitsOf(vector), weight: vector.weight }),
  basic: (vector) => {
    const { canary, stable, others = [], weight } = vector;
    const counts = {
      ...(canary === undefined ? {} : { canary }),
      ...(stable === undefined ? {} : { stable }),
      others: others.reduce((sum, spec) => sum + spec, 0),
    };
    return nextSizes(counts, { ...limitsOf(vector), weight });
  },
  routed: (vector) => {
    const context = contextWith(vector);
    return { canary: canaryPods(context, vector.weight), stable: context.replicas };
  },
};

for (const kind of ["target", "basic", "routed"] as const) {
  test(`replicas: ${kind} sizes are those that Argo gives`, async (t) => {
    const cases = vectors.filter((vector) => vector.kind === kind);
    t.ok(cases.length >= 200, `${cases.length} cases`);
    const used = new Set<string>();
    for (const vector of cases) {
      const name = Object.keys(DELIBERATE).find((one) => DELIBERATE[one]?.(vector));
      if (name !== undefined) used.add(name);
      else t.strictSame(ask[kind](vector), vector.want, JSON.stringify(vector));
    }
    t.comment(`${kind}: ${cases.length} cases; on purpose another answer: ${[...used].join(", ") || "none"}`);
  });
}

function contextWith(vector: Vector): ReturnType<typeof contextOf> {
  const { replicas, maxSurge, maxUnavailable, maxTrafficWeight, minPodsPerReplicaSet } = vector;
  const isRouted = vector.kind === "routed";
  const world = worldWith({ replicas, isRouted, steps: [{ setWeight: vector.weight }] });
  world.editSpec({
    strategy: {
      canary: {
        ...(maxSurge === undefined ? {} : { maxSurge }),
        ...(maxUnavailable === undefined ? {} : { maxUnavailable }),
        ...(minPodsPerReplicaSet === undefined ? {} : { minPodsPerReplicaSet }),
        ...(maxTrafficWeight === undefined ? {} : { trafficRouting: { maxTrafficWeight } }),
      },
    },
  });
  return contextOf(world.snapshot(), world.nowMs);
}

function limitsOf(vector: Vector): Omit<Parameters<typeof nextSizes>[1], "weight"> {
  const { replicas, maxWeight, maxSurge, maxUnavailable } = contextWith(vector);
  return { replicas, maxWeight, maxSurge, maxUnavailable };
}
