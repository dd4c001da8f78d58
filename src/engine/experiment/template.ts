// One template of an Experiment: its ReplicaSet from nothing to its size and back to nothing, its Service, and what its status says of it.
// Source: Argo: experiments/experiment.go reconcileTemplate, v1.9.
import {
  EXPERIMENT_MESSAGES,
  EXPERIMENT_REASONS,
  type ExperimentTemplate,
  experimentDeadlineSecondsOf,
  type ReplicaSet,
  replicasOf,
  type TemplateStatus,
} from "../../api/api.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import type { Action } from "../plan.ts";
import { identityOf, podHashOf, versionOf } from "../pods/replicaset.ts";
import { clean } from "../status/status.ts";
import { type ExperimentContext, rawPodTemplate } from "./context.ts";
import { beingDeleted, type ExperimentPart, NO_PART, together } from "./plan.ts";
import { isSameTemplate, newTemplateReplicaSet, templateReplicaSetName } from "./replicaset.ts";
import { planGrowth, planShrinking, planStay } from "./scaling.ts";
import { planServiceRemoval, planTemplateService, removeService, type ServicePart } from "./service.ts";

export interface TemplatePlan extends ExperimentPart {
  readonly status: TemplateStatus;
  /** Its pods are other ones than at the last pass. */
  readonly hasProgressed: boolean;
  /** The field that is written otherwise than what runs. */
  readonly changed?: string;
}

/** What a planner of this page finds out besides what it does. */
interface Found extends ExperimentPart {
  readonly error?: string;
  readonly collisionCount?: number;
  /** What becomes of its Service; absent: the one that is there leads to it until it is deleted. */
  readonly service?: ServicePart;
  readonly changed?: string;
}

/** Brings one template a step further. */
export function planTemplate(context: ExperimentContext, template: ExperimentTemplate): TemplatePlan {
  const seen = seenStatus(context, template.name);
  const replicaSet = context.replicaSets.get(template.name);
  const desired = context.isEnding ? 0 : (template.replicas ?? 1);
  if (replicaSet === undefined)
    return assembled(context, template, planCreation(context, template, seen), { seen, replicaSet, desired });
  const isSame = isSameTemplate(template, rawPodTemplate(context, template.name), replicaSet);
  if (!isSame && context.status.phase === undefined)
    return assembled(context, template, planReplacement(template, replicaSet), {
      seen,
      replicaSet: undefined,
      desired,
    });
  const found = planExisting(context, template, replicaSet, desired);
  const changed = isSame ? {} : { changed: `spec.templates[${template.name}]` };
  return assembled(context, template, { ...found, ...changed }, { seen, replicaSet, desired });
}

/** ReplicaSets and Services of templates that are no longer in the spec. Argo leaves them running. */
export function planRemoved(context: ExperimentContext): ExperimentPart {
  const names = new Set(context.experiment.spec.templates.map(({ name }) => name));
  const made = new Set([...context.replicaSets.keys(), ...context.services.keys()]);
  const gone = [...made].filter((template) => !names.has(template));
  return together(gone.map((template) => planLeaving(context, template)));
}

function planLeaving(context: ExperimentContext, template: string): ExperimentPart {
  const reason = "its template is no longer in the spec";
  const replicaSet = context.replicaSets.get(template);
  if (replicaSet === undefined) return planServiceRemoval(context, template, reason);
  const service = removeService(context.services.get(template), reason);
  const hasPods = replicasOf(replicaSet) > 0;
  const stay = hasPods ? planStay(context, template, replicaSet, { delayMs: 0, why: reason }) : undefined;
  return stay ?? { ...NO_PART, actions: [removeReplicaSet(replicaSet, reason), ...service] };
}

function removeReplicaSet(replicaSet: ReplicaSet, reason: string): Action {
  return {
    kind: "deleteReplicaSet",
    ...identityOf(replicaSet),
    resourceVersion: versionOf(replicaSet),
    reason,
  };
}

/** Without a ReplicaSet: it is made with 0 pods, or, where the Experiment is about to end, its Service goes as after the last pod. */
function planCreation(context: ExperimentContext, template: ExperimentTemplate, seen: TemplateStatus): Found {
  if (context.isEnding) {
    const reason = `template ${template.name} has no pods any more`;
    return planServiceRemoval(context, template.name, reason);
  }
  const name = templateReplicaSetName(context, template, seen.collisionCount);
  const refused = context.snapshot.refused.find((one) => one.kind === "ReplicaSet" && one.name === name);
  if (refused !== undefined)
    return { ...NO_PART, error: EXPERIMENT_MESSAGES.replicaSetRefused(template.name, refused.message) };
  const blocker = context.snapshot.workload.replicaSets.find((item) => item.metadata.name === name);
  if (blocker?.metadata.deletionTimestamp !== undefined) return beingDeleted(context, "ReplicaSet", name);
  // Somebody else's under that name: another salt, another name. Argo counts the collision and tries the same name for ever.
  if (blocker !== undefined)
    return {
      ...NO_PART,
      collisionCount: (seen.collisionCount ?? 0) + 1,
      requeueAtMs: [context.nowMs + 1],
    };
  const { namespace } = context;
  const object = newTemplateReplicaSet(context, template, seen.collisionCount);
  const reason = `template ${template.name} has no ReplicaSet yet`;
  return { ...NO_PART, actions: [{ kind: "createReplicaSet", namespace, name, object, reason }] };
}

/** Begun anew with another spec: what ran before makes room. */
function planReplacement(template: ExperimentTemplate, replicaSet: ReplicaSet): Found {
  const reason = `template ${template.name} is written otherwise now`;
  return { ...NO_PART, actions: [removeReplicaSet(replicaSet, reason)] };
}

function planExisting(
  context: ExperimentContext,
  template: ExperimentTemplate,
  replicaSet: ReplicaSet,
  desired: number,
): Found {
  if (context.isEnding) return planShrinking(context, template, replicaSet);
  const service = planTemplateService(context, template, replicaSet);
  const growth = planGrowth(template, replicaSet, desired);
  return {
    ...together([service, growth]),
    service,
    ...(service.error === undefined ? {} : { error: service.error }),
    ...(service.changed === undefined ? {} : { changed: service.changed }),
  };
}

interface Basis {
  readonly seen: TemplateStatus;
  readonly replicaSet: ReplicaSet | undefined;
  readonly desired: number;
}

function assembled(
  context: ExperimentContext,
  template: ExperimentTemplate,
  found: Found,
  { seen, replicaSet, desired }: Basis,
): TemplatePlan {
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0 } = replicaSet?.status ?? {};
  const counts = { replicas, updatedReplicas: replicas, readyReplicas, availableReplicas };
  const isFirst = context.status.templateStatuses?.every(({ name }) => name !== template.name) ?? true;
  const hasMoved =
    seen.replicas !== replicas ||
    seen.readyReplicas !== readyReplicas ||
    seen.availableReplicas !== availableReplicas;
  const isActing = found.actions.some(
    ({ kind }) => kind === "createReplicaSet" || kind === "scaleReplicaSet",
  );
  const lastTransitionTime =
    hasMoved || isActing || seen.lastTransitionTime === undefined
      ? formatTime(context.nowMs)
      : seen.lastTransitionTime;
  const deadlineMs =
    (parseTime(lastTransitionTime) ?? context.nowMs) + experimentDeadlineSecondsOf(context.experiment) * 1000;
  const isThere = availableReplicas === desired;
  const judged = judge(context, template, seen, { error: found.error, isThere, deadlineMs });
  const isLeading = replicaSet !== undefined && !context.isEnding;
  const service = serviceOf(context, template, found);
  const status: TemplateStatus = clean({
    ...seen,
    ...counts,
    ...judged,
    collisionCount: found.collisionCount ?? seen.collisionCount,
    lastTransitionTime,
    serviceName: service,
    podTemplateHash: service === undefined || replicaSet === undefined ? undefined : podHashOf(replicaSet),
  });
  const isWaiting = status.status === "Progressing" && isLeading;
  return {
    ...found,
    status,
    hasProgressed: isFirst || hasMoved,
    events: [...found.events, ...transition(seen, status)],
    waits: isWaiting ? [...found.waits, waitFor(status, desired, deadlineMs)] : found.waits,
    requeueAtMs:
      status.status === "Progressing" && !isThere ? [...found.requeueAtMs, deadlineMs] : found.requeueAtMs,
  };
}

/** The Service that leads to the template, once this pass is done. */
function serviceOf(
  context: ExperimentContext,
  template: ExperimentTemplate,
  found: Found,
): string | undefined {
  if (found.service !== undefined) return found.service.name;
  const service = context.services.get(template.name)?.metadata.name;
  const isGoing = found.actions.some(({ kind, name }) => kind === "deleteService" && name === service);
  return isGoing ? undefined : service;
}

/** Its status; what is completed stays as it is. */
function judge(
  context: ExperimentContext,
  template: ExperimentTemplate,
  seen: TemplateStatus,
  facts: { readonly error: string | undefined; readonly isThere: boolean; readonly deadlineMs: number },
): Pick<TemplateStatus, "status" | "message"> {
  const { status, message } = seen;
  const isDone = status === "Successful" || status === "Failed" || status === "Error";
  if (isDone) return { status, ...(message === undefined ? {} : { message }) };
  if (facts.error !== undefined) return { status: "Error", message: facts.error };
  if (context.isEnding) return { status: "Successful" };
  if (facts.isThere) {
    const isOver = context.endMs !== undefined && context.nowMs >= context.endMs;
    return { status: isOver ? "Successful" : "Running" };
  }
  if (context.nowMs >= facts.deadlineMs) {
    const seconds = experimentDeadlineSecondsOf(context.experiment);
    return { status: "Failed", message: EXPERIMENT_MESSAGES.templateTimedOut(template.name, seconds) };
  }
  return { status: "Progressing" };
}

function transition(
  seen: TemplateStatus,
  { name, status, message }: TemplateStatus,
): ExperimentPart["events"] {
  if (status === undefined || status === seen.status) return [];
  const isBad = status === "Failed" || status === "Error";
  const words = EXPERIMENT_MESSAGES.templateChanged(name, seen.status, status, message);
  return [
    { type: isBad ? "Warning" : "Normal", reason: EXPERIMENT_REASONS.template(status), message: words },
  ];
}

function waitFor(
  status: TemplateStatus,
  desired: number,
  deadlineMs: number,
): ExperimentPart["waits"][number] {
  const { name, availableReplicas } = status;
  const text = `template ${name} has ${availableReplicas} of ${desired} pods available, until ${formatTime(deadlineMs)}`;
  return { code: "replicas", text, untilMs: deadlineMs };
}

function seenStatus(context: ExperimentContext, name: string): TemplateStatus {
  const none = { name, replicas: 0, updatedReplicas: 0, readyReplicas: 0, availableReplicas: 0 };
  return context.status.templateStatuses?.find((status) => status.name === name) ?? none;
}
