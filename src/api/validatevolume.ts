// Kubernetes' rules for volumes of pods and where containers mount them. Source: kubernetes pkg/apis/core/validation, v1.34.
import type { Path } from "./decode.ts";
import { duplicate, type FieldError, forbidden, invalid, notFound, quoted, required } from "./fielderror.ts";
import { dnsLabelFaults } from "./names.ts";
import { itemsOf, type Json, numberOf, objectOf, oneOf, quantityOf, textErrors, textOf } from "./podrule.ts";

/** In the order in which the API server counts them. */
const SOURCES = [
  "emptyDir",
  "hostPath",
  "gitRepo",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "secret",
  "nfs",
  "iscsi",
  "glusterfs",
  "flocker",
  "persistentVolumeClaim",
  "rbd",
  "cinder",
  "cephfs",
  "quobyte",
  "downwardAPI",
  "fc",
  "azureFile",
  "configMap",
  "vsphereVolume",
  "azureDisk",
  "storageos",
  "portworxVolume",
  "scaleIO",
  "projected",
  "csi",
  "ephemeral",
  "image",
] as const;
const HOST_PATH_TYPES = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];
const PROPAGATIONS = ["Bidirectional", "HostToContainer", "None"];
const MAX_MODE = 0o777;

/** What is wrong with the volumes of a pod. */
export function volumeErrors(volumes: unknown, path: Path): readonly FieldError[] {
  const seen = new Set<string>();
  return itemsOf(volumes, path).flatMap(([volume, at]) => {
    const name = textOf(volume.name);
    const errors: FieldError[] = [...sourceErrors(volume, at)];
    if (name === "") errors.push(required([...at, "name"]));
    else errors.push(...textErrors([...at, "name"], name, dnsLabelFaults(name)));
    if (name !== "" && seen.has(name)) errors.push(duplicate([...at, "name"], name));
    seen.add(name);
    return errors;
  });
}

/** What is wrong with the mounts of a container; `volumes` are the pod's. */
export function mountErrors(
  container: Json,
  volumes: ReadonlySet<string>,
  path: Path,
): readonly FieldError[] {
  const list: Path = [...path, "volumeMounts"];
  const taken = new Set<string>();
  const isPrivileged = objectOf(container.securityContext)?.privileged === true;
  return itemsOf(container.volumeMounts, list).flatMap(([mount, at]) => {
    const name = textOf(mount.name);
    const mountPath = textOf(mount.mountPath);
    const subPath = textOf(mount.subPath);
    const expression = textOf(mount.subPathExpr);
    const errors: FieldError[] = [];
    if (name === "") errors.push(required([...at, "name"]));
    if (!volumes.has(name)) errors.push(notFound([...at, "name"], name));
    if (mountPath === "") errors.push(required([...at, "mountPath"]));
    if (taken.has(mountPath)) errors.push(invalid([...at, "mountPath"], quoted(mountPath), "must be unique"));
    taken.add(mountPath);
    // Kubernetes names no place in the list here; the place itself is known.
    errors.push(...elsewhere(localPathErrors(subPath, [...at, "subPath"]), [...list, "subPath"]));
    if (expression !== "" && subPath !== "") {
      const words = "subPathExpr and subPath are mutually exclusive";
      errors.push(invalid([...at, "subPathExpr"], quoted(expression), words));
    }
    const propagation = oneOf([...at, "mountPropagation"], mount.mountPropagation, PROPAGATIONS);
    errors.push(...elsewhere(propagation, [...list, "mountPropagation"]));
    if (mount.mountPropagation === "Bidirectional" && !isPrivileged) {
      const words = "Bidirectional mount propagation is available only to privileged containers";
      const found = forbidden([...at, "mountPropagation"], words);
      errors.push(...elsewhere([found], [...list, "mountPropagation"]));
    }
    return errors;
  });
}

/** The errors with the place as Kubernetes spells it. */
function elsewhere(errors: readonly FieldError[], field: Path): readonly FieldError[] {
  return errors.map((error) => ({ ...error, field: forbidden(field, "").field }));
}

function sourceErrors(volume: Json, path: Path): readonly FieldError[] {
  const [first, ...others] = SOURCES.filter((source) => objectOf(volume[source]) !== undefined);
  if (first === undefined) return [];
  const errors = oneSourceErrors(first, objectOf(volume[first]) ?? {}, [...path, first]);
  const words = "may not specify more than 1 volume type";
  return [...errors, ...others.map((source) => forbidden([...path, source], words))];
}

function oneSourceErrors(source: string, it: Json, path: Path): readonly FieldError[] {
  switch (source) {
    case "emptyDir": {
      const limit = quantityOf(it.sizeLimit);
      const words = "SizeLimit field must be a valid resource quantity";
      return limit !== undefined && limit < 0n ? [forbidden([...path, "sizeLimit"], words)] : [];
    }
    case "hostPath":
      return hostPathErrors(it, path);
    case "configMap":
      return [...needed(it, "name", path), ...fileErrors(it, path)];
    case "secret":
      return [...needed(it, "secretName", path), ...fileErrors(it, path)];
    case "persistentVolumeClaim":
      return needed(it, "claimName", path);
    case "nfs":
      return nfsErrors(it, path);
    default:
      return [];
  }
}

function hostPathErrors(it: Json, path: Path): readonly FieldError[] {
  const text = textOf(it.path);
  if (text === "") return [required([...path, "path"])];
  return [...backStepErrors(text, [...path, "path"]), ...oneOf([...path, "type"], it.type, HOST_PATH_TYPES)];
}

function nfsErrors(it: Json, path: Path): readonly FieldError[] {
  const text = textOf(it.path);
  const isAbsolute = text.startsWith("/");
  return [
    ...needed(it, "server", path),
    ...needed(it, "path", path),
    ...(isAbsolute ? [] : [invalid([...path, "path"], quoted(text), "must be an absolute path")]),
  ];
}

/** Files that come from the keys of a ConfigMap or Secret. */
function fileErrors(it: Json, path: Path): readonly FieldError[] {
  return [
    ...modeErrors(it.defaultMode, [...path, "defaultMode"]),
    ...itemsOf(it.items, [...path, "items"]).flatMap(([item, at]) => [
      ...needed(item, "key", at),
      ...needed(item, "path", at),
      ...localPathErrors(textOf(item.path), [...at, "path"]),
      ...(textOf(item.path).startsWith("..") && !textOf(item.path).startsWith("../")
        ? [invalid([...at, "path"], quoted(textOf(item.path)), "must not start with '..'")]
        : []),
      ...modeErrors(item.mode, [...at, "mode"]),
    ]),
  ];
}

function modeErrors(mode: unknown, path: Path): readonly FieldError[] {
  const value = numberOf(mode) ?? 0;
  const words = "must be a number between 0 and 0777 (octal), both inclusive";
  return value >= 0 && value <= MAX_MODE ? [] : [invalid(path, String(value), words)];
}

/** A path below the volume's root. */
function localPathErrors(text: string, path: Path): readonly FieldError[] {
  const isAbsolute = text.startsWith("/");
  return [
    ...(isAbsolute ? [invalid(path, quoted(text), "must be a relative path")] : []),
    ...backStepErrors(text, path),
  ];
}

function backStepErrors(text: string, path: Path): readonly FieldError[] {
  return text.split("/").includes("..") ? [invalid(path, quoted(text), "must not contain '..'")] : [];
}

function needed(it: Json, field: string, path: Path): readonly FieldError[] {
  return textOf(it[field]) === "" ? [required([...path, field])] : [];
}
