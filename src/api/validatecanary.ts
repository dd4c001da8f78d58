// Argo's rules for spec.strategy.canary but for its steps. Source: Argo pkg/apis/rollouts/validation, v1.9.

import type { Path } from "./decode.ts";
import { DEFAULT_MAX_SURGE_AND_UNAVAILABLE } from "./defaults.ts";
import { type FieldError, invalid, printed, quoted, sameServices } from "./fielderror.ts";
import { type IntOrString, intValue } from "./intstr.ts";
import type { Rollout } from "./rolloutschema.ts";
import { type CapabilityTable, capabilitiesOf } from "./routers.ts";
import type { CanaryStrategy } from "./strategyschema.ts";
import { validateStep } from "./validatestep.ts";

const CANARY: Path = ["spec", "strategy", "canary"];

/** What Argo holds against the canary strategy of `rollout`. */
export function validateCanary(
  rollout: Rollout,
  canary: CanaryStrategy,
  capabilities: CapabilityTable,
): readonly FieldError[] {
  return [
    ...validateLimits(canary),
    ...validateServices(canary, capabilities),
    ...validateRouting(canary, capabilities),
    ...(canary.steps ?? []).flatMap((step, index) =>
      validateStep(rollout, canary, step, index, capabilities),
    ),
    ...validateAntiAffinity(canary.antiAffinity, [...CANARY, "antiAffinity"]),
  ];
}

/** Of canary and blue-green alike. */
export function validateAntiAffinity(
  antiAffinity: CanaryStrategy["antiAffinity"],
  path: Path,
): readonly FieldError[] {
  if (antiAffinity === undefined) return [];
  const preferred = antiAffinity.preferredDuringSchedulingIgnoredDuringExecution;
  const required = antiAffinity.requiredDuringSchedulingIgnoredDuringExecution;
  const errors: FieldError[] = [];
  if ((preferred === undefined) === (required === undefined)) {
    const shown = [
      `antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: ${preferred !== undefined}`,
      `antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: ${required !== undefined}`,
    ].join(" ");
    errors.push(invalid(path, quoted(shown), "AntiAffinity must have exactly one strategy listed"));
  }
  if (preferred !== undefined && (preferred.weight < 1 || preferred.weight > 100)) {
    const words = "AntiAffinity weight must be between 1-100";
    errors.push(invalid([...path, "weight"], String(preferred.weight), words));
  }
  return errors;
}

function validateLimits({ maxSurge, maxUnavailable }: CanaryStrategy): FieldError[] {
  const isZero = (value: IntOrString): boolean =>
    intValue(typeof value === "string" ? value.replace(/%$/, "") : value) === 0;
  const surge = maxSurge ?? DEFAULT_MAX_SURGE_AND_UNAVAILABLE;
  if (!isZero(surge) || !isZero(maxUnavailable ?? DEFAULT_MAX_SURGE_AND_UNAVAILABLE)) return [];
  const words = "MaxSurge and MaxUnavailable both can not be zero";
  return [invalid([...CANARY, "maxSurge"], printed("x", surge), words)];
}

function validateServices(canary: CanaryStrategy, capabilities: CapabilityTable): FieldError[] {
  const errors: FieldError[] = [];
  const { stableService = "", canaryService = "", trafficRouting } = canary;
  if (stableService !== "" && stableService === canaryService)
    errors.push(
      invalid([...CANARY, "stableService"], quoted(stableService), sameServices("stable and canary")),
    );
  if (canary.pingPong !== undefined) errors.push(...validatePingPong(canary, canary.pingPong, capabilities));
  const isRequired = capabilitiesOf(trafficRouting, capabilities).some(({ services }) => {
    if (services === "required" || services === "optional") return services === "required";
    const hasSubsets = services === "unlessSubsets" && trafficRouting?.istio?.destinationRule !== undefined;
    return canary.pingPong === undefined && !hasSubsets;
  });
  const words = "Canary service and Stable service must to be set to use Traffic Routing";
  if (isRequired && stableService === "") errors.push(invalid([...CANARY, "stableService"], '""', words));
  if (isRequired && canaryService === "") errors.push(invalid([...CANARY, "canaryService"], '""', words));
  return errors;
}

function validatePingPong(
  { trafficRouting }: CanaryStrategy,
  { pingService, pongService }: NonNullable<CanaryStrategy["pingPong"]>,
  capabilities: CapabilityTable,
): FieldError[] {
  const errors: FieldError[] = [];
  const ping = [...CANARY, "pingPong", "pingService"];
  const unset = "Ping service and Pong service must to be set to use Ping-Pong feature";
  const able = capabilitiesOf(trafficRouting, capabilities).some((router) => router.pingPong);
  if (trafficRouting !== undefined && !able) {
    const words = "Ping-pong feature works with the ALB and Istio traffic routers only";
    errors.push(invalid([...CANARY, "trafficRouting", "alb"], "null", words));
  }
  if (pingService === "") errors.push(invalid(ping, '""', unset));
  if (pongService === "") errors.push(invalid([...CANARY, "pingPong", "pongService"], '""', unset));
  if (pingService === pongService)
    errors.push(invalid(ping, quoted(pingService), sameServices("ping and pong")));
  if (trafficRouting?.alb !== undefined && (trafficRouting.alb.rootService ?? "") === "") {
    const words =
      "Root service field is required for the configuration with ALB and ping-pong feature enabled";
    errors.push(invalid([...CANARY, "trafficRouting", "alb", "rootService"], '""', words));
  }
  return errors;
}

function validateRouting(canary: CanaryStrategy, capabilities: CapabilityTable): FieldError[] {
  const { trafficRouting, scaleDownDelaySeconds, dynamicStableScale = false } = canary;
  const delayPath = [...CANARY, "scaleDownDelaySeconds"];
  const dynamicPath = [...CANARY, "dynamicStableScale"];
  const errors: FieldError[] = [];
  if (trafficRouting === undefined) {
    const only = (field: string): string => `Canary ${field} can only be used with traffic routing`;
    if (scaleDownDelaySeconds !== undefined)
      errors.push(invalid(delayPath, String(scaleDownDelaySeconds), only("scaleDownDelaySeconds")));
    if (dynamicStableScale) errors.push(invalid(dynamicPath, "true", only("dynamicStableScale")));
    return errors;
  }
  if (scaleDownDelaySeconds !== undefined && dynamicStableScale) {
    const words = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds";
    errors.push(invalid(dynamicPath, "true", words));
  }
  const maxWeight = trafficRouting.maxTrafficWeight;
  const able = capabilitiesOf(trafficRouting, capabilities).some((router) => router.maxTrafficWeight);
  if (maxWeight !== undefined && !able) {
    const words = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins";
    errors.push(invalid([...CANARY, "trafficRouting", "maxTrafficWeight"], String(maxWeight), words));
  }
  return errors;
}
