// A Rollout's strategy and steps as tagged unions, the form in which the engine reads them. Says nothing about validity.
import { parseDuration } from "../lib/duration.ts";
import type { Rollout } from "./rolloutschema.ts";
import type { BlueGreenStrategy, CanaryStep, CanaryStrategy, RolloutAnalysis } from "./strategyschema.ts";

/** `none`: neither is written. With both, which validation refuses, canary wins. */
export type Strategy =
  | { readonly kind: "canary"; readonly canary: CanaryStrategy }
  | { readonly kind: "blueGreen"; readonly blueGreen: BlueGreenStrategy }
  | { readonly kind: "none" };

/** One step: all that it has done together. Empty when no member is set, which validation refuses. */
export type Step = readonly StepMember[];

/** One member of a step. */
export type StepMember =
  | { readonly kind: "setWeight"; readonly weight: number }
  /** Without a duration: until somebody promotes. */
  | { readonly kind: "pause"; readonly durationMs: number | "indefinite" }
  | { readonly kind: "analysis"; readonly analysis: RolloutAnalysis }
  | { readonly kind: "experiment"; readonly experiment: NonNullable<CanaryStep["experiment"]> }
  | { readonly kind: "setCanaryScale"; readonly scale: CanaryScale }
  | { readonly kind: "setHeaderRoute"; readonly route: NonNullable<CanaryStep["setHeaderRoute"]> }
  | { readonly kind: "setMirrorRoute"; readonly route: NonNullable<CanaryStep["setMirrorRoute"]> }
  | { readonly kind: "plugin"; readonly name: string; readonly config: unknown };

export type MemberOf<Kind extends StepMember["kind"]> = Extract<StepMember, { readonly kind: Kind }>;

export type CanaryScale =
  | { readonly kind: "weight"; readonly weight: number }
  | { readonly kind: "replicas"; readonly replicas: number }
  | { readonly kind: "matchTrafficWeight" };

export function strategyOf(rollout: Rollout): Strategy {
  const { canary, blueGreen } = rollout.spec.strategy ?? {};
  if (canary !== undefined) return { kind: "canary", canary };
  if (blueGreen !== undefined) return { kind: "blueGreen", blueGreen };
  return { kind: "none" };
}

/** The canary's steps in order; none for other strategies. */
export function stepsOf(rollout: Rollout): readonly Step[] {
  return rollout.spec.strategy?.canary?.steps?.map(stepOf) ?? [];
}

/** One step. Of setWeight, pause, experiment and analysis validation lets it have one; any of the others may stand beside it. */
export function stepOf(step: CanaryStep): Step {
  const { setWeight, pause, experiment, analysis, setCanaryScale, plugin } = step;
  const { setHeaderRoute, setMirrorRoute } = step;
  const members: readonly (StepMember | undefined)[] = [
    setWeight === undefined ? undefined : { kind: "setWeight", weight: setWeight },
    experiment && { kind: "experiment", experiment },
    analysis && { kind: "analysis", analysis },
    setCanaryScale && { kind: "setCanaryScale", scale: scaleOf(setCanaryScale) },
    plugin && { kind: "plugin", name: plugin.name, config: plugin.config },
    setHeaderRoute && { kind: "setHeaderRoute", route: setHeaderRoute },
    setMirrorRoute && { kind: "setMirrorRoute", route: setMirrorRoute },
    pause && { kind: "pause", durationMs: durationOf(pause) },
  ];
  return members.filter((member) => member !== undefined);
}

/** The step's member of that kind. */
export function memberOf<Kind extends StepMember["kind"]>(
  step: Step | undefined,
  kind: Kind,
): MemberOf<Kind> | undefined {
  return step?.find((member): member is MemberOf<Kind> => member.kind === kind);
}

/** The members of that kind, in the order of the steps. */
export function membersOf<Kind extends StepMember["kind"]>(
  steps: readonly Step[],
  kind: Kind,
): readonly MemberOf<Kind>[] {
  return steps.map((step) => memberOf(step, kind)).filter((member) => member !== undefined);
}

/** The last member of that kind up to the step at `index`. */
export function lastMemberOf<Kind extends StepMember["kind"]>(
  steps: readonly Step[],
  index: number,
  kind: Kind,
): MemberOf<Kind> | undefined {
  for (let at = index; at >= 0; at -= 1) {
    const member = memberOf(steps[at], kind);
    if (member !== undefined) return member;
  }
  return undefined;
}

function durationOf({ duration }: NonNullable<CanaryStep["pause"]>): number | "indefinite" {
  return duration === undefined ? "indefinite" : (pauseDurationMs(duration) ?? "indefinite");
}

/** Milliseconds of a pause: a number or digits are seconds, else a Go duration cut to whole seconds; undefined when unreadable. */
export function pauseDurationMs(duration: number | string): number | undefined {
  if (typeof duration === "number") return duration * 1000;
  if (/^[+-]?\d+$/.test(duration)) return Number(duration) * 1000;
  const durationMs = parseDuration(duration);
  return durationMs === undefined ? undefined : Math.trunc(durationMs / 1000) * 1000;
}

/** Of several fields one counts. Source: Argo: utils/replicaset/canary.go UseSetCanaryScale, GetCanaryReplicasOrWeight, v1.9. */
function scaleOf(scale: NonNullable<CanaryStep["setCanaryScale"]>): CanaryScale {
  if (scale.matchTrafficWeight === true) return { kind: "matchTrafficWeight" };
  if (scale.replicas !== undefined) return { kind: "replicas", replicas: scale.replicas };
  if (scale.weight !== undefined) return { kind: "weight", weight: scale.weight };
  return { kind: "matchTrafficWeight" };
}
