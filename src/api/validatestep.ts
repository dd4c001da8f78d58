// Argo's rules for one canary step. Source: Argo pkg/apis/rollouts/validation ValidateRolloutStrategyCanary, v1.9.
import type { Path } from "./decode.ts";
import { maxTrafficWeightOf } from "./defaults.ts";
import { type FieldError, invalid, missingField, printed, quoted, required } from "./fielderror.ts";
import type { Rollout } from "./rolloutschema.ts";
import { type CapabilityTable, capabilitiesOf, type RouterCapabilities } from "./routers.ts";
import { pauseDurationMs } from "./strategy.ts";
import type { AnalysisArgument, CanaryStep, CanaryStrategy, StringMatch } from "./strategyschema.ts";

const CANARY: Path = ["spec", "strategy", "canary"];
const STEP_WORDS =
  "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause";
const KINDS = [
  ["Experiment", "experiment"],
  ["Pause", "pause"],
  ["SetWeight", "setWeight"],
  ["Analysis", "analysis"],
  ["SetCanaryScale", "setCanaryScale"],
  ["SetHeaderRoute", "setHeaderRoute"],
  ["SetMirrorRoute", "setMirrorRoute"],
  ["Plugin", "plugin"],
] as const;

/** What Argo holds against step number `index`. */
export function validateStep(
  rollout: Rollout,
  canary: CanaryStrategy,
  step: CanaryStep,
  index: number,
  table: CapabilityTable,
): readonly FieldError[] {
  const path = [...CANARY, "steps", index];
  const routers = capabilitiesOf(canary.trafficRouting, table);
  return [
    ...validateKind(step, path),
    ...validateWeight(step, path, maxTrafficWeightOf(rollout)),
    ...validatePause(step, path),
    ...validateScale(step, canary),
    ...validateHeaderRoute(step, path, canary, routers),
    ...validateMirrorRoute(step, path, routers),
    ...validateManagedRoute(step, path, canary),
    ...validateExperiment(step, path, canary, routers),
    ...validateArguments(step, path),
  ];
}

function validateKind(step: CanaryStep, path: Path): FieldError[] {
  // Argo holds only these four against each other.
  const exclusive = KINDS.slice(0, 4);
  const errors: FieldError[] = [];
  if (exclusive.filter(([, key]) => step[key] !== undefined).length > 1) {
    const shown = exclusive.map(([name, key]) => `step.${name}: ${step[key] !== undefined}`).join(" ");
    errors.push(invalid(path, quoted(shown), STEP_WORDS));
  }
  if (KINDS.every(([, key]) => step[key] === undefined)) {
    // Argo prints true for what is missing here.
    const shown = KINDS.map(([name]) => `step.${name}: true`).join(" ");
    errors.push(invalid(path, quoted(shown), STEP_WORDS));
  }
  return errors;
}

function validateWeight({ setWeight }: CanaryStep, path: Path, max: number): FieldError[] {
  if (setWeight === undefined || (setWeight >= 0 && setWeight <= max)) return [];
  const words = `SetWeight needs to be between 0 and ${max}`;
  return [invalid([...path, "setWeight"], String(setWeight), words)];
}

function validatePause({ pause }: CanaryStep, path: Path): FieldError[] {
  if (pause?.duration === undefined) return [];
  const durationMs = pauseDurationMs(pause.duration);
  const seconds = durationMs === undefined ? -1 : Math.trunc(durationMs / 1000);
  if (seconds >= 0) return [];
  const at = [...path, "pause", "duration"];
  // Argo prints its own reading of the value: -1 for what is no duration.
  const error = invalid(at, String(seconds), "Duration needs to be greater than 0");
  const what = durationMs === undefined ? "is no duration" : "is negative";
  const mend = `${JSON.stringify(pause.duration)} ${what}: write seconds (30), or a duration such as 30s, 5m or 1h30m`;
  return [{ ...error, mend }];
}

function validateScale({ setCanaryScale }: CanaryStep, canary: CanaryStrategy): FieldError[] {
  if (setCanaryScale === undefined || canary.trafficRouting !== undefined) return [];
  return [required([...CANARY, "trafficRouting"], "SetCanaryScale requires TrafficRouting to be set")];
}

function validateHeaderRoute(
  { setHeaderRoute }: CanaryStep,
  stepPath: Path,
  canary: CanaryStrategy,
  routers: readonly RouterCapabilities[],
): FieldError[] {
  if (setHeaderRoute === undefined) return [];
  const path = [...stepPath, "setHeaderRoute"];
  if (!routers.some((router) => router.headerRoutes !== "none")) {
    const words = "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix";
    return [invalid(path, printed("SetHeaderRoute", setHeaderRoute), words)];
  }
  const isExactOnly = canary.trafficRouting?.alb !== undefined;
  return (setHeaderRoute.match ?? []).flatMap(({ headerValue }, index) => {
    const at = [...path, "match", index];
    return isExactOnly ? validateExact(headerValue, at) : validateMatch(headerValue, at);
  });
}

function validateMirrorRoute(
  { setMirrorRoute }: CanaryStep,
  stepPath: Path,
  routers: readonly RouterCapabilities[],
): FieldError[] {
  if (setMirrorRoute === undefined) return [];
  const path = [...stepPath, "setMirrorRoute"];
  const errors: FieldError[] = [];
  if (!routers.some((router) => router.mirrorRoutes)) {
    const words = "SetMirrorRoute requires TrafficRouting, supports Istio only";
    errors.push(invalid(path, printed("SetMirrorRoute", setMirrorRoute), words));
  }
  for (const [index, { method, path: urlPath }] of (setMirrorRoute.match ?? []).entries()) {
    const at = [...path, "match", index];
    // Argo looks at the method twice.
    for (const match of [method, urlPath, method])
      if (match !== undefined) errors.push(...validateMatch(match, at));
  }
  return errors;
}

function validateManagedRoute(step: CanaryStep, path: Path, canary: CanaryStrategy): FieldError[] {
  const { setHeaderRoute, setMirrorRoute } = step;
  const routing = canary.trafficRouting;
  if (routing === undefined || (setHeaderRoute === undefined && setMirrorRoute === undefined)) return [];
  const managed = routing.managedRoutes;
  if (managed === undefined) {
    const words = missingField("spec.strategy.canary.trafficRouting.managedRoutes");
    return [required([...CANARY, "trafficRouting", "managedRoutes"], words)];
  }
  const named = [
    ["setHeaderRoute", setHeaderRoute?.name ?? (setHeaderRoute === undefined ? undefined : "")],
    ["setMirrorRoute", setMirrorRoute?.name],
  ] as const;
  const words =
    "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes";
  return named.flatMap(([key, name]) =>
    name === undefined || managed.some((route) => route.name === name)
      ? []
      : [invalid([...path, key], quoted(name), words)],
  );
}

function validateExperiment(
  { experiment }: CanaryStep,
  path: Path,
  canary: CanaryStrategy,
  routers: readonly RouterCapabilities[],
): FieldError[] {
  const isRouted = canary.trafficRouting !== undefined;
  if (isRouted && routers.some((router) => router.experimentWeights)) return [];
  const words = isRouted
    ? "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"
    : "Experiment template weight cannot be set unless TrafficRouting is enabled";
  return (experiment?.templates ?? []).flatMap(({ weight }, index) => {
    const at = [...path, "experiment", "templates", index, "weight"];
    return weight === undefined ? [] : [invalid(at, String(weight), words)];
  });
}

function validateArguments({ analysis, experiment }: CanaryStep, path: Path): FieldError[] {
  const inExperiment = (experiment?.analyses ?? []).flatMap(({ args }) => args ?? []);
  const given: readonly AnalysisArgument[] = [...inExperiment, ...(analysis?.args ?? [])];
  const words = "Analyses arguments must refer to valid object metadata supported by downwardAPI";
  return given
    .filter(({ valueFrom }) => !isFieldPath(valueFrom?.fieldRef?.fieldPath ?? ""))
    .map(() => invalid([...path, "analyses"], printed("[AnalysisRunArgument", given), words));
}

/** Paths outside metadata are looked up in the Rollout when the analysis starts. */
function isFieldPath(path: string): boolean {
  if (!path.startsWith("metadata")) return true;
  return /^metadata\.(?:name|namespace|uid|labels|annotations|(?:labels|annotations)\['[^']+'\])$/.test(path);
}

function validateMatch(match: StringMatch, path: Path): FieldError[] {
  const set = [match.exact, match.regex, match.prefix].filter((value) => (value ?? "") !== "").length;
  const shown = printed("StringMatch", match);
  if (set > 1) {
    const words = "StringMatch match value must have exactly one of the following: exact, regex, prefix";
    return [invalid(path, shown, words)];
  }
  const words = "StringMatch value missed, match value must have one of the following: exact, regex, prefix";
  return set === 1 ? [] : [invalid(path, shown, words)];
}

function validateExact(match: StringMatch, path: Path): FieldError[] {
  const isExact = (match.exact ?? "") !== "" && (match.regex ?? "") === "" && (match.prefix ?? "") === "";
  const words = "SetHeaderRoute match value invalid. ALB supports 'exact' value only";
  return isExact ? [] : [invalid(path, printed("StringMatch", match), words)];
}
