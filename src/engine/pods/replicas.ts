// How many pods each version should have without a router, where the split of the traffic is the split of the pods.
// Arithmetic only. Source of the rules: Argo: utils/replicaset/canary.go, v1.9 (the five steps are named below).

/** Pod counts of one version. */
export interface PodCounts {
  /** `spec.replicas`. */
  readonly spec: number;
  readonly available: number;
}

export interface Split {
  readonly canary: number;
  readonly stable: number;
}

export interface SplitLimits {
  /** Pods wanted in all. */
  readonly replicas: number;
  /** Share of the canary, 0 to maxWeight. */
  readonly weight: number;
  readonly maxWeight: number;
  /** Pods above `replicas` that may exist for a while. */
  readonly maxSurge: number;
}

export interface RollLimits extends SplitLimits {
  /** Pods below `replicas` that may be missing for a while. */
  readonly maxUnavailable: number;
}

export interface RollCounts {
  /** Absent while its ReplicaSet is. */
  readonly canary?: PodCounts;
  /** Absent at the first deploy and when the canary is the stable version. */
  readonly stable?: PodCounts;
  /** Sum over all other ReplicaSets of `spec.replicas`. */
  readonly others: number;
}

/** The sizes to ask for now, on the way to `nearestSplit`, within surge and unavailability (steps 2 to 5). */
export function nextSizes(counts: RollCounts, limits: RollLimits): Split {
  const { stable, canary } = counts;
  const target = stable === undefined ? { canary: limits.replicas, stable: 0 } : nearestSplit(limits);
  const grown = grow(counts, target, limits.replicas + limits.maxSurge);
  // Older versions are drained before these two shrink.
  if (counts.others > 0) return grown;

  const isRising = canary === undefined || target.canary >= canary.spec;
  const minAvailable = limits.replicas - limits.maxUnavailable;
  const growing = isRising ? canary : stable;
  const drained = isRising ? stable : canary;
  const usable = availableWithin(growing) + (drained?.spec ?? 0);
  const surplus = usable - minAvailable;
  if (surplus <= 0 || drained === undefined) return grown;

  const drainTarget = isRising ? target.stable : target.canary;
  const drainedSize =
    drained.spec > drainTarget
      ? Math.max(drainTarget, drained.spec - surplus)
      : isRising
        ? grown.stable
        : grown.canary;
  const growingSize = isRising ? grown.canary : grown.stable;
  const fitted = fit(
    { counts: drained, size: drainedSize },
    { counts: growing, size: growingSize },
    limits.replicas + limits.maxSurge,
    minAvailable,
  );
  return isRising
    ? { canary: fitted.growing, stable: fitted.drained }
    : { canary: fitted.drained, stable: fitted.growing };
}

/** The whole pods that come nearest to the weight (step 1). A surge pod is used only when it brings them nearer. */
export function nearestSplit(limits: SplitLimits): Split {
  const { replicas, weight, maxWeight, maxSurge } = limits;
  if (replicas === 0) return { canary: 0, stable: 0 };
  const up = Math.ceil((replicas * weight) / maxWeight);
  const down = Math.floor((replicas * weight) / maxWeight);
  const mayBeZero = weight === 0 || weight === maxWeight || (replicas === 1 && maxSurge === 0);
  const isHalf = (total: number): boolean =>
    (2 * total * weight) % maxWeight === 0 && (total * weight) % maxWeight !== 0;
  const mayRoundDown = (total: number): boolean => (down !== 0 || mayBeZero) && !isHalf(total);

  const candidates: [canary: number, total: number][] = [];
  if (up < replicas || mayBeZero) candidates.push([up, replicas]);
  if (mayRoundDown(replicas)) candidates.push([down, replicas]);
  if (maxSurge > 0) {
    candidates.push([up, replicas + 1]);
    if (mayRoundDown(replicas + 1)) candidates.push([down, replicas + 1]);
  }
  let best: Split = { canary: 0, stable: replicas };
  let bestMiss = Number.POSITIVE_INFINITY;
  for (const [canary, total] of candidates) {
    const miss = Math.abs((maxWeight * canary) / total - weight);
    if (miss >= bestMiss) continue;
    bestMiss = miss;
    best = { canary, stable: total - canary };
  }
  return best;
}

/** Step 2: what the surge leaves goes to stable first, then to the canary. Nothing shrinks here. */
function grow(counts: RollCounts, target: Split, bound: number): Split {
  const stableSpec = counts.stable?.spec ?? 0;
  const canarySpec = counts.canary?.spec ?? 0;
  const budget = bound - stableSpec - canarySpec - counts.others;
  const raise = (spec: number, wanted: number, most: number): number =>
    wanted > spec && most > 0 ? Math.min(wanted, spec + most) : spec;
  const stable = raise(stableSpec, target.stable, budget);
  // What does not exist yet takes no pods.
  const canary =
    counts.canary === undefined ? 0 : raise(canarySpec, target.canary, budget - (stable - stableSpec));
  return { canary, stable };
}

interface Side {
  readonly counts: PodCounts | undefined;
  readonly size: number;
}

/** Step 5: brings the sum under the bound without taking pods that the minimum needs. */
function fit(
  drained: Side,
  growing: Side,
  bound: number,
  minAvailable: number,
): { drained: number; growing: number } {
  if (growing.counts === undefined) return { drained: drained.size, growing: growing.size };
  const cut = growing.size - Math.max(0, growing.size + drained.size - bound);
  const available =
    Math.min(drained.counts?.available ?? 0, drained.size) + Math.min(growing.counts.available, cut);
  const lost = Math.max(0, growing.counts.available - cut);
  const kept = cut + Math.min(lost, Math.max(0, minAvailable - available));
  return { growing: kept, drained: drained.size - Math.max(0, kept + drained.size - bound) };
}

/** Pods that serve and stay: available ones, or fewer when the ReplicaSet is already asked for fewer. */
function availableWithin(counts: PodCounts | undefined): number {
  return counts === undefined ? 0 : Math.min(counts.available, counts.spec);
}
