// What decide() returns: everything that one pass does, with the reason of each thing, as data. The controller carries a plan out in
// this order: actions (as listed), status, traffic, events (as listed); it decides nothing. A plan may be lost at any point:
// the next pass, from what it then sees, leads to the same end.
import type {
  KubeObject,
  OwnerReference,
  RolloutDuration,
  RolloutStatus,
  TrafficIntent,
} from "../api/api.ts";

export interface Plan {
  /** In the order in which to carry them out. The first that fails ends the pass; the key is then queued again with back-off. */
  readonly actions: readonly Action[];
  /**
   * The whole status wanted. The controller writes the merge patch from the status of the snapshot to this one, on the status
   * subresource, with the Rollout's resourceVersion (as of the last write of this pass) as precondition; no difference, no write.
   */
  readonly status: RolloutStatus;
  /** What the proxies should do; absent without weir's router, or when nothing is known yet. Publish after the status was written. */
  readonly traffic?: TrafficIntent;
  /** What the objects of other routers should hold; absent: leave them as they are. Carried out after the status was written. */
  readonly routerTraffic?: TrafficIntent;
  /**
   * Emitted in order after the last successful write of the pass. When the pass is lost (to a conflict, say), only those that tell of a write
   * that was done: they are owed, and emitted with those of the next pass that succeeds.
   */
  readonly events: readonly PlannedEvent[];
  /**
   * What load balancers say of that which is waited for, to be told before the events, but only what differs from the last time. Absent: nothing is
   * waited for.
   */
  readonly verdicts?: readonly PlannedEvent[];
  /** The record of an update that ends with this pass, for the log and the metrics: once `status` is written. */
  readonly ended?: RolloutDuration;
  /** When to look again though nothing changed, epoch milliseconds; always later than the `nowMs` of the decision. */
  readonly requeueAtMs?: number;
  /** Things to log as warnings: the pass went on in spite of them. */
  readonly warnings: readonly string[];
  /** Operations of step plugins that the status waits for. To be begun, unless they have been, after the status was written; others are to be ended. */
  readonly calls?: readonly PluginCall[];
  /** Why the plan is what it is: for `weir explain` and the log. */
  readonly explanation: Explanation;
}

/** One operation of a step plugin. Doing it twice must be doing it once: an answer that is lost with its process is asked for again. */
export interface PluginCall {
  /** The same however often, and by whomever, this call is made. */
  readonly id: string;
  /** Of the step. */
  readonly index: number;
  readonly name: string;
  readonly operation: "Run" | "Terminate" | "Abort";
  /** The how manieth call of the operation, from 1. */
  readonly execution: number;
  /** As the step has it. */
  readonly config: unknown;
  /** What the plugin's last answer told to keep; undefined when it did not. */
  readonly status: unknown;
  /** Of the update. */
  readonly revision: number;
  /** Pod-template hashes. */
  readonly versions: { readonly stable: string; readonly canary: string };
}

/** One event on the Rollout. `reason` is one of Argo's. */
export interface PlannedEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** The action it tells of. Others tell of the status: what the next pass decides tells them anew. */
  readonly of?: { readonly kind: Action["kind"]; readonly name: string };
}

/**
 * One write to one object of the Rollout's namespace. Idempotent: doing it twice is doing it once. `uid` and `resourceVersion`, where
 * given, are preconditions. `reason` says why, for logs and explain. `requestOf` turns an action into the call of the API.
 */
export type Action =
  | CreateReplicaSet
  | AdoptReplicaSet
  | ScaleReplicaSet
  | AnnotateReplicaSet
  | DeleteReplicaSet
  | SelectPods
  | CreateAnalysisRun
  | TerminateAnalysisRun
  | DeleteAnalysisRun
  | EvictPod
  | ScaleWorkload
  | CreateService
  | DeleteService
  | CreateExperiment
  | TerminateExperiment
  | DeleteExperiment
  | AnnotateRollout
  | DefaultReplicas
  | SetPodMetadata;

interface Named {
  readonly namespace: string;
  readonly name: string;
  readonly reason: string;
}

/** An object that exists. */
interface Existing extends Named {
  readonly uid: string;
}

/** Creates the ReplicaSet of a revision with 0 replicas. */
export interface CreateReplicaSet extends Named {
  readonly kind: "createReplicaSet";
  readonly object: KubeObject;
}

/** Makes the Rollout the controller of an orphan that its selector matches. */
export interface AdoptReplicaSet extends Existing {
  readonly kind: "adoptReplicaSet";
  readonly resourceVersion: string;
  /** The whole list wanted. */
  readonly ownerReferences: readonly OwnerReference[];
}

/** Sets `spec.replicas`. Down-scales carry the resourceVersion that the decision saw. */
export interface ScaleReplicaSet extends Existing {
  readonly kind: "scaleReplicaSet";
  readonly resourceVersion?: string;
  readonly from: number;
  readonly replicas: number;
  /** Written with it; null removes. */
  readonly annotations: AnnotationChanges;
  readonly minReadySeconds?: number;
  readonly template?: TemplateChanges;
}

/** Changes annotations, and what follows the Rollout's: `spec.minReadySeconds`, and what is injected into the template. */
export interface AnnotateReplicaSet extends Existing {
  readonly kind: "annotateReplicaSet";
  readonly annotations: AnnotationChanges;
  readonly minReadySeconds?: number;
  readonly template?: TemplateChanges;
}

/** Deletes a ReplicaSet that runs nothing and is beyond the revision history limit, or one of an Experiment whose template is gone. */
export interface DeleteReplicaSet extends Existing {
  readonly kind: "deleteReplicaSet";
  readonly resourceVersion: string;
}

/** Points a Service at the pods of one version and marks it as managed by the Rollout. */
export interface SelectPods extends Existing {
  readonly kind: "selectPods";
  readonly podHash: string;
  readonly managedBy: string;
}

export interface CreateAnalysisRun extends Named {
  readonly kind: "createAnalysisRun";
  readonly object: KubeObject;
}

/** Sets `spec.terminate`. */
export interface TerminateAnalysisRun extends Existing {
  readonly kind: "terminateAnalysisRun";
}

/** Deletes a finished run beyond the history limits. */
export interface DeleteAnalysisRun extends Existing {
  readonly kind: "deleteAnalysisRun";
}

/** Sets `spec.replicas` of the Deployment that the Rollout takes its template from. */
export interface ScaleWorkload extends Existing {
  readonly kind: "scaleWorkload";
  readonly from: number;
  readonly replicas: number;
}

/**
 * Asks for a pod to be evicted, so that disruption budgets are heard. A refusal is no failure of the pass: it comes back in the snapshot
 * (`workload.refusedEvictions`).
 */
export interface EvictPod extends Existing {
  readonly kind: "evictPod";
}

/** Creates the Service of an Experiment's template. */
export interface CreateService extends Named {
  readonly kind: "createService";
  readonly object: KubeObject;
}

/** Deletes such a Service. */
export interface DeleteService extends Existing {
  readonly kind: "deleteService";
}

/** Creates the Experiment of a step. */
export interface CreateExperiment extends Named {
  readonly kind: "createExperiment";
  readonly object: KubeObject;
}

/** Sets `spec.terminate`. */
export interface TerminateExperiment extends Existing {
  readonly kind: "terminateExperiment";
}

/** Deletes a finished Experiment beyond the history limits. */
export interface DeleteExperiment extends Existing {
  readonly kind: "deleteExperiment";
}

/** Changes annotations of the Rollout itself (its revision). */
export interface AnnotateRollout extends Existing {
  readonly kind: "annotateRollout";
  readonly annotations: AnnotationChanges;
}

/** Writes the default of `spec.replicas` into the Rollout, which autoscalers need. */
export interface DefaultReplicas extends Existing {
  readonly kind: "defaultReplicas";
  readonly replicas: number;
}

/** Changes labels and annotations of a living pod. A pod that is gone by then has no need of it. */
export interface SetPodMetadata extends Existing {
  readonly kind: "setPodMetadata";
  readonly labels: AnnotationChanges;
  readonly annotations: AnnotationChanges;
}

/** A merge patch of `spec.template`. */
export type TemplateChanges = Readonly<Record<string, unknown>>;

/** Keys to set, or with null to remove. */
export type AnnotationChanges = Readonly<Record<string, string | null>>;

/** The decision in words and numbers. */
export interface Explanation {
  /** `Progressing`, `Paused`, `Healthy` or `Degraded`, and its message, as in the status. */
  readonly phase: string;
  readonly message: string;
  readonly revision?: number;
  /** The planner that decided (`invalid`, `first deploy`, `promote full`, `abort`, `steps` …): the page to read in decide.ts. */
  readonly planner: string;
  /** Stable first. */
  readonly versions: readonly ExplainedVersion[];
  /** The managed routes that are published, a line each. */
  readonly routes: readonly string[];
  /** Absent without steps. `index` = `count` once all are done. */
  readonly step?: { readonly index: number; readonly count: number; readonly text: string };
  /** How the current analyses' metrics stand, a line each. */
  readonly metrics: readonly string[];
  /** What it waits for; empty when it waits for nothing. */
  readonly waits: readonly Wait[];
  /** What would move it on: commands, or what has to happen. */
  readonly ways: readonly string[];
  /** What this pass does, in words. */
  readonly does: readonly string[];
  /** What comes once the waits are over. */
  readonly next: string;
}

export interface ExplainedVersion {
  readonly role: "stable" | "canary" | "active" | "preview" | "old";
  readonly podHash: string;
  readonly replicaSet: string;
  readonly desired: number;
  readonly available: number;
  /** Percent of the traffic decided for it; absent without a router. */
  readonly weight?: number;
}

export interface Wait {
  readonly code: WaitCode;
  readonly text: string;
  /** Since when, where that is known; explain tells it from the status where a planner does not. */
  readonly sinceMs?: number;
  /** When the wait ends by itself, if it does. */
  readonly untilMs?: number;
}

export type WaitCode =
  | "valid"
  | "user"
  | "pause"
  | "replicas"
  /** A share is not the canary's yet: what keeps it from rising is a wait of its own. */
  | "weight"
  | "acknowledgement"
  | "analysis"
  | "experiment"
  | "inconclusive"
  | "scaleDownDelay"
  | "restart"
  | "retry"
  | "plugin";
