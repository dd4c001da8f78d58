// Objects that the API has refused to create and will refuse again: the next pass sees them and says so, instead of trying for ever.
import { CLUSTER_ERRORS } from "../cluster/client.ts";
import { type Action, type RefusedWrite, requestOf } from "../engine/decide.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";

export interface RefusedWrites {
  /** A pass has failed at this action. */
  failed(key: string, action: Action | undefined, error: unknown): void;
  /** What was refused since the last pass that succeeded. */
  of(key: string): readonly RefusedWrite[];
  /** A pass has succeeded: what was refused is told in the status. */
  told(key: string): void;
}

/** Makes an empty record. Bounded by the Rollouts and Experiments whose last pass failed, with one object each. */
export function createRefusedWrites(): RefusedWrites {
  const byKey = new Map<string, RefusedWrite>();
  return {
    failed(key, action, error) {
      const refused = action === undefined ? undefined : refusalOf(action, error);
      if (refused !== undefined) byKey.set(key, refused);
    },
    of(key) {
      const refused = byKey.get(key);
      return refused === undefined ? [] : [refused];
    },
    told: (key) => void byKey.delete(key),
  };
}

function refusalOf(action: Action, error: unknown): RefusedWrite | undefined {
  const { verb, type } = requestOf(action);
  const { kind } = type;
  const isForGood =
    isWeirError(error, CLUSTER_ERRORS.invalid) || isWeirError(error, CLUSTER_ERRORS.forbidden);
  if (verb !== "create" || !isForGood) return undefined;
  if (kind !== "ReplicaSet" && kind !== "Service" && kind !== "AnalysisRun") return undefined;
  return { kind, name: action.name, message: messageOf(error) };
}
