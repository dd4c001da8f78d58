// Kubernetes' rules for probes and lifecycle hooks of containers. Source: kubernetes pkg/apis/core/validation, v1.34.
import type { Path } from "./decode.ts";
import { type FieldError, forbidden, invalid, quoted, required } from "./fielderror.ts";
import { headerNameFaults, portNameFaults, portNumberFaults } from "./names.ts";
import { itemsOf, type Json, notNegative, numberOf, objectOf, oneOf, textErrors, textOf } from "./podrule.ts";

export const PROBES = ["livenessProbe", "readinessProbe", "startupProbe"] as const;
export const LIFECYCLE_HOOKS = ["postStart", "preStop"] as const;
const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;
const NO_GRACE_S = 30;

/** What is wrong with one probe of a container; `path` ends with its kind. */
export function probeErrors(probe: unknown, path: Path): readonly FieldError[] {
  const it = objectOf(probe);
  if (it === undefined) return [];
  const kind = path.at(-1);
  const { terminationGracePeriodSeconds } = it;
  const graceS = numberOf(terminationGracePeriodSeconds);
  const at = (field: string): Path => [...path, field];
  const fields = [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ];
  const errors = [
    ...handlerErrors(it, path, undefined),
    ...fields.flatMap((field) => notNegative(at(field), it[field])),
  ];
  if (graceS !== undefined && kind !== "readinessProbe" && graceS <= 0)
    errors.push(invalid(at("terminationGracePeriodSeconds"), String(graceS), "must be greater than 0"));
  if (graceS !== undefined && kind === "readinessProbe")
    errors.push(
      invalid(at("terminationGracePeriodSeconds"), String(graceS), "must not be set for readinessProbes"),
    );
  const successes = numberOf(it.successThreshold) ?? 1;
  // 0 is what an absent one looks like, and becomes 1.
  if (kind !== "readinessProbe" && successes !== 1 && successes !== 0)
    errors.push(invalid(at("successThreshold"), String(successes), "must be 1"));
  return errors;
}

/** What is wrong with the hooks of a container. */
export function lifecycleErrors(
  lifecycle: unknown,
  path: Path,
  graceS: number | undefined,
): readonly FieldError[] {
  const it = objectOf(lifecycle) ?? {};
  return LIFECYCLE_HOOKS.flatMap((hook) => {
    const handler = objectOf(it[hook]);
    return handler === undefined ? [] : handlerErrors(handler, [...path, hook], graceS ?? NO_GRACE_S);
  });
}

/** Exactly one handler. `graceS`: how long a sleep may take; undefined where there is no sleep. */
function handlerErrors(it: Json, path: Path, graceS: number | undefined): FieldError[] {
  const [first, ...others] = HANDLERS.filter((name) => objectOf(it[name]) !== undefined);
  if (first === undefined) return [required(path, "must specify a handler type")];
  const errors = oneHandlerErrors(first, objectOf(it[first]) ?? {}, [...path, first], graceS);
  const words = "may not specify more than 1 handler type";
  return [...errors, ...others.map((name) => forbidden([...path, name], words))];
}

function oneHandlerErrors(
  kind: (typeof HANDLERS)[number],
  it: Json,
  path: Path,
  graceS: number | undefined,
): readonly FieldError[] {
  if (kind === "exec")
    return Array.isArray(it.command) && it.command.length > 0 ? [] : [required([...path, "command"])];
  if (kind === "sleep") return sleepErrors(numberOf(it.seconds) ?? 0, path, graceS);
  if (kind !== "httpGet") return portErrors(it.port, [...path, "port"]);
  return [
    ...portErrors(it.port, [...path, "port"]),
    ...oneOf([...path, "scheme"], it.scheme, ["HTTP", "HTTPS"]),
    ...itemsOf(it.httpHeaders, path).flatMap(([{ name }]) =>
      textErrors([...path, "httpHeaders"], textOf(name), headerNameFaults(textOf(name))),
    ),
  ];
}

function sleepErrors(seconds: number, path: Path, graceS: number | undefined): readonly FieldError[] {
  if (graceS === undefined || (seconds > 0 && seconds <= graceS)) return [];
  const words = `must be greater than 0 and less than terminationGracePeriodSeconds (${graceS}). Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep.`;
  return [invalid(path, String(seconds), words)];
}

/** A number or the name of a port. */
function portErrors(port: unknown, path: Path): readonly FieldError[] {
  if (typeof port === "string")
    return portNameFaults(port).map((words) => invalid(path, quoted(port), words));
  const number = numberOf(port) ?? 0;
  return portNumberFaults(number).map((words) => invalid(path, String(number), words));
}
