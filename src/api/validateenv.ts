// Kubernetes' rules for the environment of containers. Source: kubernetes pkg/apis/core/validation ValidateEnv, ValidateEnvFrom, v1.34.
import type { Path } from "./decode.ts";
import { type FieldError, invalid, quoted, required, unsupported } from "./fielderror.ts";
import { configKeyFaults, envNameFaults, qualifiedNameFaults, subdomainFaults } from "./names.ts";
import { itemsOf, type Json, objectOf, textErrors, textOf } from "./podrule.ts";

/** Fields of the pod that a variable may take its value from. */
const POD_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
/** Known of a pod, but not as one value. */
const OTHER_POD_FIELDS = ["metadata.labels", "metadata.annotations", "status.phase", "spec.restartPolicy"];
const RESOURCES = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];
const SOURCES = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"] as const;
const ONE_ONLY = "may not have more than one field specified at a time";

/** What is wrong with `env` of a container. */
export function envErrors(env: unknown, path: Path): readonly FieldError[] {
  return itemsOf(env, path).flatMap(([variable, at]) => {
    const name = textOf(variable.name);
    return [
      ...(name === "" ? [required([...at, "name"])] : textErrors([...at, "name"], name, envNameFaults(name))),
      ...valueFromErrors(variable, [...at, "valueFrom"]),
    ];
  });
}

/** What is wrong with `envFrom` of a container. */
export function envFromErrors(envFrom: unknown, path: Path): readonly FieldError[] {
  return itemsOf(envFrom, path).flatMap(([item, at]) => {
    const prefix = textOf(item.prefix);
    const refs = (["configMapRef", "secretRef"] as const).filter((ref) => objectOf(item[ref]) !== undefined);
    const errors: FieldError[] = [
      ...(prefix === "" ? [] : textErrors([...at, "prefix"], prefix, envNameFaults(prefix))),
      ...refs.flatMap((ref) => {
        const name = textOf(objectOf(item[ref])?.name);
        const place = [...at, ref, "name"];
        return name === "" ? [required(place)] : textErrors(place, name, subdomainFaults(name));
      }),
    ];
    // Kubernetes names the list here, not the item.
    const { field } = required(path);
    if (refs.length === 0)
      errors.push(invalid(at, '""', "must specify one of: `configMapRef` or `secretRef`", field));
    if (refs.length > 1) errors.push(invalid(at, '""', ONE_ONLY, field));
    return errors;
  });
}

function valueFromErrors({ value, valueFrom }: Json, path: Path): readonly FieldError[] {
  const it = objectOf(valueFrom);
  if (it === undefined) return [];
  const sources = SOURCES.filter((source) => objectOf(it[source]) !== undefined);
  const errors = sources.flatMap((source) =>
    sourceErrors(source, objectOf(it[source]) ?? {}, [...path, source]),
  );
  if (textOf(value) !== "") {
    if (sources.length > 0)
      errors.push(invalid(path, '""', "may not be specified when `value` is not empty"));
  } else if (sources.length === 0)
    errors.push(
      invalid(
        path,
        '""',
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
      ),
    );
  else if (sources.length > 1) errors.push(invalid(path, '""', ONE_ONLY));
  return errors;
}

function sourceErrors(source: (typeof SOURCES)[number], it: Json, path: Path): readonly FieldError[] {
  if (source === "fieldRef") return fieldErrors(textOf(it.fieldPath), path);
  if (source === "resourceFieldRef") {
    const resource = textOf(it.resource);
    const at = [...path, "resource"];
    if (resource === "") return [required(at)];
    const isKnown = RESOURCES.includes(resource) || /^(?:requests|limits)\.hugepages-/.test(resource);
    return isKnown ? [] : [unsupported(at, resource, RESOURCES)];
  }
  const name = textOf(it.name);
  const key = textOf(it.key);
  return [
    ...textErrors([...path, "name"], name, subdomainFaults(name)),
    ...(key === "" ? [required([...path, "key"])] : textErrors([...path, "key"], key, configKeyFaults(key))),
  ];
}

function fieldErrors(fieldPath: string, path: Path): readonly FieldError[] {
  const at = [...path, "fieldPath"];
  if (fieldPath === "") return [required(at)];
  const [, base = "", key = ""] = /^(metadata\.(?:labels|annotations))\['([^']*)'\]$/.exec(fieldPath) ?? [];
  if (base !== "")
    return textErrors(path, key, qualifiedNameFaults(base === "metadata.labels" ? key : key.toLowerCase()));
  if (POD_FIELDS.includes(fieldPath)) return [];
  if (OTHER_POD_FIELDS.includes(fieldPath)) return [unsupported(at, fieldPath, POD_FIELDS)];
  const words = `error converting fieldPath: field label not supported: ${fieldPath}`;
  return [invalid(at, quoted(fieldPath), words)];
}
