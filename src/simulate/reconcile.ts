// The controllers of the model at work: a pass carries the plan out as weir's controller does, then come Experiments, ReplicaSets and
// analyses. Passes are made until nothing changes; time moves on from one requeue to the next.
import { type Plan, toldVerdicts } from "../engine/decide.ts";
import { jsonEqual } from "../lib/json.ts";
import { diffMergePatch } from "../lib/patch.ts";
import { experimentsDueMs, passExperiments } from "./experiments.ts";
import { measureDueMs, measureRuns } from "./measuring.ts";
import { runReplicaSets } from "./replicasets.ts";
import { written } from "./routing.ts";
import type { World } from "./world.ts";

/** Passes that one change may take before the model calls it a loop. */
const MAX_PASSES = 60;

/** Who looks on while the model comes to rest. */
export interface Onlooker {
  /** What a pass has decided, before it is carried out. */
  readonly decided: (plan: Plan) => void;
  /** What passes over Experiments did, in the words of scripts. */
  readonly experimented: (lines: readonly string[]) => void;
}

/** Reconciles until nothing changes; returns the last plan, unless there is no Rollout. */
export function settle(world: World, onlooker?: Onlooker): Plan | undefined {
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const plan = world.hasRollout ? world.plan() : undefined;
    if (plan !== undefined) onlooker?.decided(plan);
    const hasWritten = plan !== undefined && apply(world, plan);
    const experiments = passExperiments(world);
    onlooker?.experimented(experiments.lines);
    if (!runReplicaSets(world) && !measureRuns(world) && !hasWritten && !experiments.hasWritten) return plan;
  }
  throw new Error("does not come to rest");
}

/** Carries out the plan, or only its first `steps` writes: what a crash leaves. Tells whether anything was written. */
export function apply(world: World, plan: Plan, steps = Number.POSITIVE_INFINITY): boolean {
  let done = 0;
  note(world, plan);
  for (const action of plan.actions) {
    if (done >= steps) return true;
    world.write(action);
    done += 1;
  }
  const patch = diffMergePatch(world.rollout.status ?? {}, plan.status);
  if (patch !== undefined) {
    if (done >= steps) return true;
    world.patchStatus(patch);
    done += 1;
  }
  const writes = world.routerWrites(plan);
  for (const write of writes) {
    if (done >= steps) return true;
    world.add("ingresses", written(world.ingresses, write));
    done += 1;
  }
  if (plan.traffic !== undefined && !jsonEqual(plan.traffic, world.published)) {
    if (done >= steps) return true;
    world.publish(plan.traffic);
    done += 1;
  }
  if (done < steps && world.plugins.carryOut(plan.calls ?? [], world.nowMs)) done += 1;
  world.events.push(...world.eventsOf(plan, writes));
  world.toldVerdicts = toldVerdicts(world.toldVerdicts, plan.verdicts);
  return done > 0;
}

/** When something wants to be looked at though nothing changes; infinity when nothing does. */
export function dueMs(world: World): number {
  const decisionMs = decisionDueMs(world, world.hasRollout ? world.plan() : undefined);
  return Math.min(decisionMs, measureDueMs(world) ?? Number.POSITIVE_INFINITY);
}

/** The same without measurements. `plan`: what the world would decide now. */
export function decisionDueMs(world: World, plan: Plan | undefined): number {
  const never = Number.POSITIVE_INFINITY;
  return Math.min(plan?.requeueAtMs ?? never, experimentsDueMs(world) ?? never);
}

/** Notes where the plan leaves the Rollout, if that is somewhere else. */
function note({ nowMs, timeline }: World, { explanation }: Plan): void {
  const { phase, message, step, versions } = explanation;
  const moment = { phase, message, step: step?.index, stepCount: step?.count, versions };
  const last = timeline.at(-1);
  if (last !== undefined && jsonEqual({ ...last, atMs: 0 }, { ...moment, atMs: 0 })) return;
  timeline.push({ atMs: nowMs, ...moment });
}
