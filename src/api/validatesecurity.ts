// Kubernetes' rules for security contexts, as far as they need no cluster. Source: kubernetes pkg/apis/core/validation, v1.34.
import type { Path } from "./decode.ts";
import { type FieldError, invalid, required } from "./fielderror.ts";
import { type Json, numberOf, objectOf, oneOf } from "./podrule.ts";

const MAX_ID = 2_147_483_647;

/** What is wrong with the security context of a container. */
export function containerSecurityErrors(context: unknown, path: Path): readonly FieldError[] {
  const it = objectOf(context);
  if (it === undefined) return [];
  return [
    ...idErrors(it.runAsUser, [...path, "runAsUser"]),
    ...idErrors(it.runAsGroup, [...path, "runAsGroup"]),
    ...oneOf([...path, "procMount"], it.procMount, ["Default", "Unmasked"]),
    ...seccompErrors(it.seccompProfile, [...path, "seccompProfile"]),
  ];
}

/** What is wrong with the security context of a pod. */
export function podSecurityErrors(context: unknown, path: Path): readonly FieldError[] {
  const it = objectOf(context);
  if (it === undefined) return [];
  const groups: readonly unknown[] = Array.isArray(it.supplementalGroups) ? it.supplementalGroups : [];
  return [
    ...["fsGroup", "runAsUser", "runAsGroup"].flatMap((field) => idErrors(it[field], [...path, field])),
    ...groups.flatMap((id, index) => idErrors(id, [...path, "supplementalGroups", index])),
    ...seccompErrors(it.seccompProfile, [...path, "seccompProfile"]),
    ...oneOf([...path, "fsGroupChangePolicy"], it.fsGroupChangePolicy, ["Always", "OnRootMismatch"]),
  ];
}

function idErrors(id: unknown, path: Path): readonly FieldError[] {
  const value = numberOf(id) ?? 0;
  const words = `must be between 0 and ${MAX_ID}, inclusive`;
  return value >= 0 && value <= MAX_ID ? [] : [invalid(path, String(value), words)];
}

function seccompErrors(profile: unknown, path: Path): readonly FieldError[] {
  const it: Json | undefined = objectOf(profile);
  if (it === undefined) return [];
  const isMissing = it.type === "Localhost" && it.localhostProfile === undefined;
  return [
    ...oneOf([...path, "type"], it.type, ["Localhost", "RuntimeDefault", "Unconfined"]),
    ...(isMissing
      ? [required([...path, "localhostProfile"], "must be set when seccomp type is Localhost")]
      : []),
  ];
}
