// What the version with all the traffic is short of.
import type { ReplicaSet } from "../../api/api.ts";
import type { Context } from "../context.ts";
import type { Wait } from "../plan.ts";
import { countsOf } from "./replicaset.ts";

/** Its missing pods: they hold up Healthy, and the end of an abort. */
export function stableWaits({ replicas }: Context, replicaSet: ReplicaSet | undefined): readonly Wait[] {
  const { available } = countsOf(replicaSet);
  if (replicaSet === undefined || available >= replicas) return [];
  return [{ code: "replicas", text: `the stable version has ${available} of ${replicas} pods available` }];
}
