// The weights of the status as parts of what all weights add up to now: maxTrafficWeight may be another one than when they were decided.
import type { RolloutStatus, WeightDestination } from "../../api/api.ts";
import { sharesOf, sumOf } from "./additional.ts";

/**
 * The status with the same shares as parts of `maxWeight`. What is no whole part goes to stable. That the proxies follow is said of the numbers,
 * and they have not been told these.
 */
export function rescaled(status: RolloutStatus, maxWeight: number): RolloutStatus {
  const { weights, ...others } = status.canary ?? {};
  if (weights === undefined) return status;
  const sum = sumOf([weights.canary, weights.stable, ...sharesOf(weights)]);
  if (sum === maxWeight) return status;
  // Weights of others, who gave nobody any: it is as if there were none.
  if (sum <= 0) return { ...status, canary: others };
  const inParts = (share: WeightDestination): WeightDestination => ({
    ...share,
    weight: Math.floor((share.weight * maxWeight) / sum),
  });
  const canary = inParts(weights.canary);
  const additional = sharesOf(weights).map(inParts);
  const stable = { ...weights.stable, weight: maxWeight - sumOf([canary, ...additional]) };
  return {
    ...status,
    canary: {
      ...others,
      weights: {
        ...weights,
        canary,
        stable,
        ...(weights.additional !== undefined && { additional }),
        ...(weights.verified !== undefined && { verified: false }),
      },
    },
  };
}
