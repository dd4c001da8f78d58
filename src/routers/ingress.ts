// What routers that work through Ingresses share: finding them, which Services their rules use, and what is wrong with those that a
// Rollout names. Source: Argo: utils/ingress/ingress.go, pkg/apis/rollouts/validation/validation_references.go, v1.9.
import {
  CLUSTER_RESOURCES,
  type FieldError,
  type Ingress,
  type IngressPath,
  internalError,
  invalid,
  type Path,
  type Rollout,
  type RouterProblem,
  readIngress,
} from "../api/api.ts";
import { diffMergePatch } from "../lib/patch.ts";
import { find, type ObjectName, type Observed, type Patch } from "./router.ts";

/** An Ingress beside the Rollout. */
export function ingressName(rollout: Rollout, name: string): ObjectName {
  return { type: CLUSTER_RESOURCES.ingress, namespace: rollout.metadata.namespace ?? "", name };
}

/** The Ingress of that name, if it is there. */
export function findIngress(rollout: Rollout, observed: Observed, name: string): Ingress | undefined {
  const found = find(observed, ingressName(rollout, name));
  return found === undefined ? undefined : readIngress(found).value;
}

/** The paths of all rules. */
export function pathsOf(ingress: Ingress): readonly IngressPath[] {
  return (ingress.spec.rules ?? []).flatMap((rule) => rule.http?.paths ?? []);
}

export function usesService(ingress: Ingress, service: string): boolean {
  return pathsOf(ingress).some(({ backend }) => backend.service?.name === service);
}

/** A pair of fields of which one must be set: one name, or a list of names. */
export interface IngressFields {
  readonly path: Path;
  readonly single: { readonly field: string; readonly value: string | undefined };
  readonly several: {
    readonly field: string;
    readonly value: readonly string[] | undefined;
    /** As Argo spells the field where one of the Ingresses is missing; default: as it is. */
    readonly fieldOfMissing?: string;
  };
}

/** The names that the fields give, each once. */
export function namesIn({ single, several }: IngressFields): readonly string[] {
  return [...new Set(several.value ?? (isSet(single.value) ? [single.value] : []))];
}

/** Whether exactly one of the fields is set. Both absent and both there are errors of Argo's own kind. */
export function eitherError({ path, single, several }: IngressFields): readonly FieldError[] {
  const hasSingle = isSet(single.value);
  if (hasSingle !== (several.value !== undefined)) return [];
  const [one, many] = [single.field, several.field].map((field) =>
    field.replace(/^./, (first) => first.toUpperCase()),
  );
  const words = `Either ${one} or ${many} must be configured. ${hasSingle ? "Both" : "Neither"} are configured.`;
  return [{ ...internalError(path, words), field: path.join(".") }];
}

/** The named Ingresses that are not there, or have no rule for the Service. */
export function ingressProblems(
  rollout: Rollout,
  observed: Observed,
  fields: IngressFields,
  service: string,
): readonly RouterProblem[] {
  const { path, single, several } = fields;
  const field = several.value === undefined ? single.field : several.field;
  const missing = several.value === undefined ? field : (several.fieldOfMissing ?? field);
  const error = (shown: string, value: unknown, detail: string): FieldError => {
    const at = [...path, shown];
    return invalid(at, JSON.stringify(value), detail, at.join("."));
  };
  const noRule = (name: string): RouterProblem => ({
    error: error(field, name, `ingress \`${name}\` has no rules using service ${service} backend`),
  });
  const absent = (name: string): RouterProblem => ({
    error: error(missing, several.value ?? name, `ingress.networking.k8s.io "${name}" not found`),
    missing: `ingress "${name}"`,
  });
  return namesIn(fields).flatMap((name): RouterProblem[] => {
    const ingress = findIngress(rollout, observed, name);
    if (ingress === undefined) return [absent(name)];
    return usesService(ingress, service) ? [] : [noRule(name)];
  });
}

/** The patch that brings an Ingress from one state to another, held to what was seen; undefined without a difference. */
export function ingressPatch(
  name: ObjectName,
  before: Ingress,
  after: Ingress,
  event: Patch["event"],
): Patch | undefined {
  const change = (from: Ingress, to: Ingress) => ({
    annotations: diffMergePatch(from.metadata.annotations ?? {}, to.metadata.annotations ?? {}),
    spec: diffMergePatch(from.spec, to.spec),
  });
  const { annotations, spec } = change(before, after);
  if (annotations === undefined && spec === undefined) return undefined;
  const { uid, resourceVersion } = before.metadata;
  const metadata = { uid, resourceVersion, ...(annotations === undefined ? {} : { annotations }) };
  return { verb: "patch", name, event, body: { metadata, ...(spec === undefined ? {} : { spec }) } };
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}
