// A Rollout's strategy and steps as tagged unions, the form in which the engine reads them. Says nothing about validity.
import { parseDuration } from "../lib/duration.ts";
import type { Rollout } from "./rolloutschema.ts";
import type { BlueGreenStrategy, CanaryStep, CanaryStrategy, RolloutAnalysis } from "./strategyschema.ts";

/** `none`: neither is written. With both, which validation refuses, canary wins. */
export type Strategy =
  | { readonly kind: "canary"; readonly canary: CanaryStrategy }
  | { readonly kind: "blueGreen"; readonly blueGreen: BlueGreenStrategy }
  | { readonly kind: "none" };

/** One step. `invalid`: no member is set. */
export type Step =
  | { readonly kind: "setWeight"; readonly weight: number }
  /** Without a duration: until somebody promotes. */
  | { readonly kind: "pause"; readonly durationMs: number | "indefinite" }
  | { readonly kind: "analysis"; readonly analysis: RolloutAnalysis }
  | { readonly kind: "experiment"; readonly experiment: NonNullable<CanaryStep["experiment"]> }
  | { readonly kind: "setCanaryScale"; readonly scale: CanaryScale }
  | { readonly kind: "setHeaderRoute"; readonly route: NonNullable<CanaryStep["setHeaderRoute"]> }
  | { readonly kind: "setMirrorRoute"; readonly route: NonNullable<CanaryStep["setMirrorRoute"]> }
  | { readonly kind: "plugin"; readonly name: string; readonly config: unknown }
  | { readonly kind: "invalid" };

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

/** One step. Argo reads setWeight first, then pause, experiment, analysis and the others. */
export function stepOf(step: CanaryStep): Step {
  if (step.setWeight !== undefined) return { kind: "setWeight", weight: step.setWeight };
  if (step.pause !== undefined) {
    const { duration } = step.pause;
    const durationMs = duration === undefined ? "indefinite" : (pauseDurationMs(duration) ?? "indefinite");
    return { kind: "pause", durationMs };
  }
  if (step.experiment !== undefined) return { kind: "experiment", experiment: step.experiment };
  if (step.analysis !== undefined) return { kind: "analysis", analysis: step.analysis };
  if (step.setCanaryScale !== undefined)
    return { kind: "setCanaryScale", scale: scaleOf(step.setCanaryScale) };
  if (step.plugin !== undefined)
    return { kind: "plugin", name: step.plugin.name, config: step.plugin.config };
  if (step.setHeaderRoute !== undefined) return { kind: "setHeaderRoute", route: step.setHeaderRoute };
  if (step.setMirrorRoute !== undefined) return { kind: "setMirrorRoute", route: step.setMirrorRoute };
  return { kind: "invalid" };
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
