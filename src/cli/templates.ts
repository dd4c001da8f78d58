// Changes of the pod template that a Rollout runs, wherever it stands: in the Rollout, or in the workload that workloadRef names. As patches;
// those of Argo's kubectl plugin, so that either tool may be used. Source: argo-rollouts, pkg/kubectl-argo-rollouts/cmd/{undo,set}. Pure.
import {
  controllerOf,
  type KubeObject,
  POD_HASH_LABEL,
  plainTemplate,
  RESOURCES,
  REVISION_ANNOTATION,
  type ResourceType,
  readReplicaSet,
  readRollout,
  semanticallyEqualTemplates,
  templateOfWorkload,
  WORKLOAD_TYPES,
  workloadTypeOf,
} from "../api/api.ts";
import type { Patch } from "../cluster/client.ts";
import { WeirError } from "../lib/errors.ts";
import { asObject, isObject } from "../lib/json.ts";
import { CLI_ERRORS } from "./cli.ts";

/** The object that holds the pod template. */
export interface TemplateHolder {
  readonly type: ResourceType;
  readonly name: string;
}

/** Where the Rollout's pod template stands. Throws `usage` for a workload of a kind that has none. */
export function templateHolderOf(rollout: KubeObject): TemplateHolder {
  const { workloadRef } = readRollout(rollout).value.spec;
  if (workloadRef === undefined) return { type: RESOURCES.rollout, name: rollout.metadata.name };
  const type = workloadTypeOf(workloadRef);
  if (type !== undefined) return { type, name: workloadRef.name ?? "" };
  throw usage(`workload of type ${workloadRef.kind ?? ""} is not supported`);
}

/** The patch that brings back a former revision; undefined when the template already means the same. Revision 0: the one before the newest. */
export function undoPatch(
  rollout: KubeObject,
  holder: KubeObject,
  replicaSets: readonly KubeObject[],
  toRevision: number,
): Patch | undefined {
  const owned = replicaSets.filter((item) => controllerOf(item)?.uid === rollout.metadata.uid);
  const wanted = ofRevision(rollout, owned, toRevision);
  const template = withoutHash(plainTemplate(readReplicaSet(wanted).value));
  if (semanticallyEqualTemplates(templateOfWorkload(holder), template)) return undefined;
  const path = `/${pathOf(holder).join("/")}`;
  return { type: "json", body: [{ op: "replace", path, value: template }] };
}

/** The patch that gives a container another image; `*` is every container. Throws `usage` when there is no such container. */
export function imagePatch(holder: KubeObject, container: string, image: string): Patch {
  const spec = asObject(asObject(templateOfWorkload(holder)).spec);
  let isFound = false;
  const changed = ["initContainers", "containers", "ephemeralContainers"].flatMap((field) => {
    const list: unknown = spec[field];
    if (!Array.isArray(list)) return [];
    const items = list.map((item: unknown) => {
      if (!isObject(item) || (item.name !== container && container !== "*")) return item;
      isFound = true;
      return { ...item, image };
    });
    return [[field, items] as const];
  });
  if (!isFound) {
    const names = changed.flatMap(([, items]) => items.map((item) => String(asObject(item).name)));
    throw usage(`unable to find container named "${container}"; there are: ${names.join(", ")}`);
  }
  let body: Readonly<Record<string, unknown>> = { spec: Object.fromEntries(changed) };
  for (const key of [...pathOf(holder)].reverse()) body = { [key]: body };
  // A merge replaces lists whole: the version that they were read from is the one to replace.
  const { resourceVersion } = holder.metadata;
  return { type: "merge", body: { metadata: { resourceVersion }, ...body } };
}

function pathOf(holder: KubeObject): readonly string[] {
  return holder.kind === WORKLOAD_TYPES.podTemplate.kind ? ["template"] : ["spec", "template"];
}

function ofRevision(rollout: KubeObject, owned: readonly KubeObject[], toRevision: number): KubeObject {
  const byRevision = [...owned].sort((a, b) => revisionOf(b) - revisionOf(a));
  const found = toRevision === 0 ? byRevision[1] : owned.find((item) => revisionOf(item) === toRevision);
  if (found !== undefined) return found;
  const revisions = byRevision.map(revisionOf);
  const there = revisions.length === 0 ? "there are none yet" : `there are: ${revisions.join(", ")}`;
  throw usage(
    toRevision === 0
      ? `no revision found for rollout "${rollout.metadata.name}"; ${there}`
      : `unable to find specified revision ${toRevision} in history; ${there}`,
  );
}

function revisionOf(replicaSet: KubeObject): number {
  return Number(replicaSet.metadata.annotations?.[REVISION_ANNOTATION] ?? 0);
}

function withoutHash(template: unknown): unknown {
  const { metadata, spec, ...rest } = asObject(template);
  const { affinity, ...ownSpec } = asObject(spec);
  const { labels, annotations, ...others } = asObject(metadata);
  const { [POD_HASH_LABEL]: _, ...own } = asObject(labels);
  const kept = annotations === undefined ? {} : { annotations };
  return {
    metadata: { ...others, labels: own, ...kept },
    spec: { ...ownSpec, ...(affinity === undefined ? {} : { affinity }) },
    ...rest,
  };
}

function usage(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
}
