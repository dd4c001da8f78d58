// What decide() sees of the world, split by topic. Read-only values: the controller's observe builds one per pass from its caches,
// the tests and the simulator from a model. Everything here was observed; nothing is decided or derived.
import type {
  Acknowledgement,
  AnalysisRun,
  AnalysisTemplate,
  ClusterAnalysisTemplate,
  Experiment,
  KubeObject,
  Pod,
  Registration,
  ReplicaSet,
  Rollout,
  RouterView,
  Service,
  TrafficIntent,
  WorkloadReference,
} from "../api/api.ts";
import type { PluginCall } from "./plan.ts";

/** One Rollout and all that a decision about it depends on, but for the time. */
export interface Snapshot {
  /** The Rollout as its schema reads it: what does not decode is left out. */
  readonly rollout: Rollout;
  /** The same object as the API holds it: the pod template is copied from here, so that no field of it is lost. */
  readonly raw: KubeObject;
  readonly workload: WorkloadSnapshot;
  readonly services: ServicesSnapshot;
  readonly traffic: TrafficSnapshot;
  readonly analysis: AnalysisSnapshot;
  /** Experiments of the namespace that the Rollout controls or whose name begins with `<rollout>-` (names that are taken). */
  readonly experiments?: readonly Experiment[];
  /** Absent: nothing is known of plugins, every name counts as configured. */
  readonly plugins?: PluginsSnapshot;
  readonly validation: ValidationSnapshot;
  readonly config: EngineConfig;
}

export interface PluginsSnapshot {
  /** The step plugins that are configured. None: they are switched off. */
  readonly names?: readonly string[];
  /** Those whose steps are to count as done. */
  readonly disabled?: readonly string[];
  /** Answers to calls that earlier plans asked for. */
  readonly outcomes: readonly PluginOutcome[];
}

/** How one call of a step plugin ended. */
export interface PluginOutcome {
  readonly call: PluginCall;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly answer: PluginAnswer;
}

export type PluginAnswer =
  | {
      readonly kind: "answer";
      readonly phase?: "Running" | "Successful" | "Failed" | "Error";
      readonly message?: string;
      /** To be given back with the next call. */
      readonly status?: unknown;
      /** When it wants to be asked again. */
      readonly retryAfterMs?: number;
    }
  /** It could not be asked, or what it said could not be understood. */
  | { readonly kind: "error"; readonly message: string };

export interface WorkloadSnapshot {
  /**
   * ReplicaSets of the Rollout's namespace that it controls, that have no controller and match its selector, or whose name begins with
   * `<rollout>-`. The engine tells apart which are its own, which to adopt, and which stand in the way under a computed name.
   * More of the namespace does no harm.
   */
  readonly replicaSets: readonly ReplicaSet[];
  /** The pods of those that the Rollout controls, living and dying. Absent: not known, nothing may be concluded from them. */
  readonly pods?: readonly Pod[];
  /** The object that `spec.workloadRef` names; its template is in `rollout` and `raw`. Absent: none is named. */
  readonly reference?: WorkloadReference;
  /** Objects that the API refused to create for good in the last pass, with its words; the pass after that tries again. */
  readonly refused?: readonly RefusedWrite[];
  /** Evictions that the API has refused of late, by the pod's uid: when, and in which words. */
  readonly refusedEvictions?: Readonly<Record<string, RefusedEviction>>;
}

export interface RefusedEviction {
  readonly atMs: number;
  /** The server's, naming the disruption budget. */
  readonly words: string;
}

/** The Services that the strategy names. Absent: not named, or named and not there. */
export interface ServicesSnapshot {
  readonly stable?: Service;
  readonly canary?: Service;
  readonly active?: Service;
  readonly preview?: Service;
}

export interface TrafficSnapshot {
  /** The intent last handed to the publisher by this process; absent: none yet, so nothing is known of what is in force. */
  readonly published?: TrafficIntent;
  /** Since when proxies can answer this process. Absent: for long, or nothing is published yet. */
  readonly publishedSinceMs?: number;
  /** Whether `published` is in force. `notApplicable` for Rollouts that weir's router does not serve. */
  readonly acknowledgement: Acknowledgement;
  /** The Rollout's other routers, as their objects were observed. Absent: none. */
  readonly routers?: readonly RouterView[];
  /** What the load balancers of the Service of `podsInQuestion` know of its pods. Absent: nobody can be asked, or none stands before it. */
  readonly registrations?: readonly Registration[];
}

export interface AnalysisSnapshot {
  /** AnalysisRuns of the namespace that the Rollout controls or whose name begins with `<rollout>-` (names that are taken). */
  readonly runs: readonly AnalysisRun[];
  /** AnalysisTemplates of the namespace: at least those that the Rollout or its templates name. */
  readonly templates: readonly AnalysisTemplate[];
  readonly clusterTemplates: readonly ClusterAnalysisTemplate[];
}

export interface ValidationSnapshot {
  /**
   * What is wrong with the Rollout by itself and with what weir carries out so far, as Kubernetes words field errors
   * (`spec.strategy.canary.steps[0].setWeight: Invalid value: 101: …`). Empty: nothing. Missing objects are found by the engine.
   */
  readonly errors: readonly string[];
}

/** One Experiment and all that a decision about it depends on, but for the time. */
export interface ExperimentSnapshot {
  readonly experiment: Experiment;
  /** The same object as the API holds it: pod templates are copied from here. */
  readonly raw: KubeObject;
  /** ReplicaSets of the namespace that it controls, or whose name begins with `<experiment>-`. */
  readonly workload: WorkloadSnapshot;
  /** Services of the namespace that it controls, or that stand under a name that one of its templates gives. */
  readonly services: readonly Service[];
  readonly analysis: AnalysisSnapshot;
  /** Whether proxies may still send requests to pods of this hash. Bounded by the config's nodeGraceMs after the pods' time is over. */
  readonly routed: readonly string[];
  /** Objects that the API refused to create for good, with its words: tried and refused since the Experiment last changed. */
  readonly refused: readonly RefusedWrite[];
  readonly config: EngineConfig;
}

export interface RefusedWrite {
  readonly kind: "ReplicaSet" | "Service" | "AnalysisRun";
  readonly name: string;
  readonly message: string;
}

/** Settings of the controller that decisions depend on. */
export interface EngineConfig {
  /** How long a proxy that is gone counts, and how long a scale-down waits for acknowledgements at least. */
  readonly nodeGraceMs: number;
  /** After how long an invalid Rollout is looked at again without any event. */
  readonly invalidRetryMs: number;
}

/** 30 s of grace (NODE_GRACE), 20 s between looks at an invalid Rollout. */
export const DEFAULT_ENGINE_CONFIG: EngineConfig = { nodeGraceMs: 30_000, invalidRetryMs: 20_000 };
