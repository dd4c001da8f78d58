// `apply` on the client's side, as kubectl does it: the manifest is kept in an annotation of the object, so that the next apply
// knows which fields left it. One get and one write per attempt; a write that another overtook is tried again from a new read.
import {
  apiVersionOf,
  type KubeObject,
  LAST_APPLIED_ANNOTATION,
  RESOURCES,
  type ResourceType,
} from "../api/api.ts";
import { isWeirError, WeirError } from "../lib/errors.ts";
import { canonicalJson, isObject } from "../lib/json.ts";
import { diffMergePatch } from "../lib/patch.ts";
import type { ClusterClient } from "./client.ts";
import { CLUSTER_ERRORS } from "./errors.ts";
import { type ListMerge, mergeThreeWay } from "./threeway.ts";

export interface ApplyOptions {
  /** Default: the kind of RESOURCES that the object names. */
  readonly type?: ResourceType;
  /** The server checks and answers, nothing is written. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface ApplyResult {
  readonly result: "created" | "configured" | "unchanged";
  /** As the server holds it now (as it would, for a dry run). */
  readonly object: KubeObject;
  /** False for an object that was made without `apply`: fields that left its manifest before cannot be known. */
  readonly hadLastApplied: boolean;
}

/** Tries of one apply when others write to the object at the same time. Source: kubectl, maxPatchRetry. */
export const MAX_APPLY_TRIES = 6;

/** Groups without a dot and these are Kubernetes' own; all others are custom. */
const BUILTIN_GROUPS: ReadonlySet<string> = new Set(
  "admissionregistration apiextensions apiregistration authentication authorization certificates coordination discovery events flowcontrol.apiserver networking node rbac.authorization resource scheduling storage"
    .split(" ")
    .map((group) => `${group}.k8s.io`),
);

/** Makes the object on the server what the manifest says. Throws `conflict` when others overtake every try. */
export async function applyObject(
  client: ClusterClient,
  manifest: KubeObject,
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const type = options.type ?? typeOf(manifest);
  const wanted = withLastApplied(manifest);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await applyOnce(client, type, wanted, options);
    } catch (error) {
      const isOvertaken =
        isWeirError(error, CLUSTER_ERRORS.conflict) ||
        isWeirError(error, CLUSTER_ERRORS.alreadyExists) ||
        isWeirError(error, CLUSTER_ERRORS.notFound);
      if (!isOvertaken || attempt === MAX_APPLY_TRIES) throw error;
    }
  }
}

async function applyOnce(
  client: ClusterClient,
  type: ResourceType,
  wanted: KubeObject,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const { signal } = options;
  const { name, namespace } = wanted.metadata;
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  const live = await client.get(type, ref, signal);
  const write = options.dryRun === true ? { dryRun: true } : {};
  if (live === undefined) {
    const object = await client.create(type, wanted, signal, write);
    return { result: "created", object, hadLastApplied: true };
  }
  const last = lastApplied(live);
  const merged = mergeThreeWay(last, wanted, live, listMergeOf(type));
  const patch = diffMergePatch(live, merged);
  const hadLastApplied = last !== undefined;
  if (!isObject(patch)) return { result: "unchanged", object: live, hadLastApplied };
  // Whole lists are sent, computed from what was read: the version makes sure that nobody's change to them is lost.
  const metadata = isObject(patch.metadata) ? patch.metadata : {};
  const body = { ...patch, metadata: { ...metadata, resourceVersion: live.metadata.resourceVersion } };
  const writeOptions = { ...write, ...(signal === undefined ? {} : { signal }) };
  const object = await client.patch(type, ref, { type: "merge", body }, writeOptions);
  const result =
    object.metadata.resourceVersion === live.metadata.resourceVersion ? "unchanged" : "configured";
  return { result: options.dryRun === true ? "configured" : result, object, hadLastApplied };
}

/** The manifest with itself in the annotation, in kubectl's spelling: sorted keys, annotations always present, a line feed. */
function withLastApplied(manifest: KubeObject): KubeObject {
  const annotations: Record<string, string> = { ...manifest.metadata.annotations };
  delete annotations[LAST_APPLIED_ANNOTATION];
  const recorded = { ...manifest, metadata: { ...manifest.metadata, annotations } };
  const text = `${canonicalJson(recorded)}\n`;
  return {
    ...manifest,
    metadata: { ...manifest.metadata, annotations: { ...annotations, [LAST_APPLIED_ANNOTATION]: text } },
  };
}

/** What was applied last, without its own annotation; undefined where there is none or it cannot be read. */
function lastApplied(live: KubeObject): unknown {
  const text = live.metadata.annotations?.[LAST_APPLIED_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    const last: unknown = JSON.parse(text);
    return isObject(last) ? last : undefined;
  } catch {
    return undefined; // someone wrote over it: as if nothing had been applied
  }
}

function listMergeOf(type: ResourceType): ListMerge {
  return !type.group.includes(".") || BUILTIN_GROUPS.has(type.group) ? "byKey" : "whole";
}

function typeOf(object: KubeObject): ResourceType {
  const found = Object.values(RESOURCES).find(
    (type) => apiVersionOf(type) === object.apiVersion && type.kind === object.kind,
  );
  if (found !== undefined) return found;
  throw new WeirError({
    code: CLUSTER_ERRORS.invalid,
    source: "user",
    message: `weir does not know the kind ${object.kind} of ${object.apiVersion}`,
  });
}
