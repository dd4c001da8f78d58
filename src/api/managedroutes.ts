// What weir's own router cannot carry out of the steps that set header and mirror routes, beyond Argo's rules for them. Argo leaves these to the
// router, which finds them when the step has begun.
import { readPattern } from "../lib/pattern.ts";
import type { Path } from "./decode.ts";
import { type FieldError, invalid, quoted } from "./fielderror.ts";
import type { Rollout } from "./rolloutschema.ts";
import type { CanaryStep, StringMatch } from "./strategyschema.ts";
import { usesWeirRouter } from "./weirsettings.ts";

const STEPS: Path = ["spec", "strategy", "canary", "steps"];

/** What is wrong about them, in order; nothing where another router serves the Rollout. */
export function managedRouteErrors(rollout: Rollout): readonly FieldError[] {
  if (!usesWeirRouter(rollout)) return [];
  return (rollout.spec.strategy?.canary?.steps ?? []).flatMap((step, index) => [
    ...headerErrors(step, [...STEPS, index, "setHeaderRoute"]),
    ...mirrorErrors(step, [...STEPS, index, "setMirrorRoute"]),
  ]);
}

function headerErrors({ setHeaderRoute }: CanaryStep, path: Path): readonly FieldError[] {
  return (setHeaderRoute?.match ?? []).flatMap(({ headerName, headerValue }, index) => {
    const at = [...path, "match", index];
    return [
      ...nameErrors(headerName, [...at, "headerName"]),
      ...patternErrors(headerValue, [...at, "headerValue"]),
    ];
  });
}

function mirrorErrors({ setMirrorRoute }: CanaryStep, path: Path): readonly FieldError[] {
  const { match = [], percentage = 100 } = setMirrorRoute ?? {};
  const errors = match.flatMap(({ method, path: urlPath, headers = {} }, index) => {
    const at = [...path, "match", index];
    return [
      ...patternErrors(method, [...at, "method"]),
      ...patternErrors(urlPath, [...at, "path"]),
      ...Object.entries(headers).flatMap(([name, value]) => [
        ...nameErrors(name, [...at, "headers", name]),
        ...patternErrors(value, [...at, "headers", name]),
      ]),
    ];
  });
  if (percentage >= 0 && percentage <= 100) return errors;
  return [...errors, invalid([...path, "percentage"], String(percentage), "goes from 0 to 100")];
}

/** A name that no request can have would make a route that nobody takes. Source: RFC 9110 5.1. */
function nameErrors(name: string, path: Path): readonly FieldError[] {
  return /^[!#$%&'*+.^_`|~\w-]+$/.test(name) ? [] : [invalid(path, quoted(name), "is no name of a header")];
}

function patternErrors(match: StringMatch | undefined, path: Path): readonly FieldError[] {
  const { regex = "" } = match ?? {};
  const shape = regex === "" ? undefined : readPattern(regex);
  return typeof shape === "string" ? [invalid([...path, "regex"], quoted(regex), shape)] : [];
}
