// The rule that keeps the pods of a new version off the nodes of the stable one (strategy.*.antiAffinity): injected when its ReplicaSet is
// made, taken out again once that version is the stable one. Source: Argo: utils/replicaset/replicaset.go GenerateReplicaSetAffinity, v1.9.
import { avoidedVersion, plainAffinity, withAvoidance } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { asObject } from "../../lib/json.ts";
import { type Context, templateOf } from "../context.ts";

/** The affinity of a new ReplicaSet of the wanted version; undefined when it has none. */
export function newAffinity(context: Context): unknown {
  const own = plainAffinity(asObject(asObject(templateOf(context.snapshot)).spec).affinity);
  return avoiding(context, context.status.stableRS ?? "", own);
}

/**
 * The affinity that a ReplicaSet of the wanted version should have now: a rule in it follows the stable version, one that it never had is not
 * added to pods that already run. `stableHash`: the stable version as the pass leaves it.
 */
export function followingAffinity(context: Context, stableHash: string, affinity: unknown): unknown {
  const avoided = avoidedVersion(affinity);
  if (avoided === undefined || stableHash === "" || avoided === stableHash) return affinity;
  return avoiding(context, stableHash, plainAffinity(affinity));
}

function avoiding(context: Context, stableHash: string, affinity: unknown): unknown {
  const { namespace, podHash } = context;
  const kind = antiAffinityOf(context);
  const preferred = kind?.preferredDuringSchedulingIgnoredDuringExecution;
  const isAsked =
    preferred !== undefined || kind?.requiredDuringSchedulingIgnoredDuringExecution !== undefined;
  if (!isAsked || stableHash === "" || stableHash === podHash) return affinity;
  const avoided = { podHash: stableHash, namespace };
  return withAvoidance(
    affinity,
    preferred === undefined ? avoided : { ...avoided, weight: preferred.weight },
  );
}

function antiAffinityOf({ strategy }: Context) {
  switch (strategy.kind) {
    case "canary":
      return strategy.canary.antiAffinity;
    case "blueGreen":
      return strategy.blueGreen.antiAffinity;
    case "none":
      return undefined;
    default:
      return assertNever(strategy);
  }
}
