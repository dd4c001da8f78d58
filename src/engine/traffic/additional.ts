// Shares of the traffic that belong to neither stable nor canary: those of an experiment's templates (`weights.additional`).
import type { Acknowledgement, TrafficIntent, TrafficWeights, WeightDestination } from "../../api/api.ts";

/** The additional shares of `weights`. */
export function sharesOf(weights: TrafficWeights | undefined): readonly WeightDestination[] {
  return weights?.additional ?? [];
}

/** What shares add up to. */
export function sumOf(shares: readonly WeightDestination[]): number {
  return shares.reduce((sum, { weight }) => sum + weight, 0);
}

/** The share that `weights` give to the same pods behind the same Service. */
export function shareIn(
  weights: TrafficWeights,
  { serviceName, podTemplateHash }: WeightDestination,
): number {
  const found = sharesOf(weights).find(
    (one) => one.serviceName === serviceName && one.podTemplateHash === podTemplateHash,
  );
  return found?.weight ?? 0;
}

/** The shares as far as they go into `room`, the first ones first. */
export function fitted(shares: readonly WeightDestination[], room: number): readonly WeightDestination[] {
  let left = Math.max(0, room);
  return shares.map((share) => {
    const weight = Math.min(Math.max(0, share.weight), left);
    left -= weight;
    return { ...share, weight };
  });
}

/** Whether a proxy may still send requests to the pods of `hash`: by what was published, what is to be, or what nobody has acknowledged. */
export function mayBeSentTo(
  hash: string,
  published: TrafficIntent | undefined,
  acknowledgement: Acknowledgement,
  decided: TrafficWeights | undefined,
): boolean {
  if (acknowledgement.kind === "notApplicable") return false;
  if (published === undefined || acknowledgement.kind === "no") return true;
  return (
    published.versions.some(({ podHash, weight }) => podHash === hash && weight > 0) ||
    sharesOf(decided).some(({ podTemplateHash, weight }) => podTemplateHash === hash && weight > 0)
  );
}
