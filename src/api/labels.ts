// Keys of labels and annotations, written here once. Argo's keep their spelling; weir's own begin with `weir.dev/`.

/** On ReplicaSets, pods, Service selectors and AnalysisRuns: the pod-template hash. */
export const POD_HASH_LABEL = "rollouts-pod-template-hash";
/** The same of a Deployment's ReplicaSets; read when a Rollout takes them over. */
export const DEPLOYMENT_POD_HASH_LABEL = "pod-template-hash";

/** On Rollout, ReplicaSet, AnalysisRun, Experiment: the revision as text. */
export const REVISION_ANNOTATION = "rollout.argoproj.io/revision";
/** On a ReplicaSet: its former revisions, separated by commas. */
export const REVISION_HISTORY_ANNOTATION = "rollout.argoproj.io/revision-history";
/** On a ReplicaSet: spec.replicas of the Rollout when it was last scaled. */
export const DESIRED_REPLICAS_ANNOTATION = "rollout.argoproj.io/desired-replicas";
/** On a Rollout: the generation of the workload that workloadRef names. */
export const WORKLOAD_GENERATION_ANNOTATION = "rollout.argoproj.io/workload-generation";
/** On a ReplicaSet: the metadata that was put on it for its role, as JSON. */
export const EPHEMERAL_METADATA_ANNOTATION = "rollout.argoproj.io/ephemeral-metadata";
/** On a ReplicaSet: when it may be scaled to 0, RFC 3339 in UTC. */
export const SCALE_DOWN_DEADLINE_ANNOTATION = "scale-down-deadline";
/** On a Service: the Rollouts that switch it. */
export const MANAGED_BY_ANNOTATION = "argo-rollouts.argoproj.io/managed-by-rollouts";
/** On any object: which controller partition it belongs to. */
export const INSTANCE_ID_LABEL = "argo-rollouts.argoproj.io/controller-instance-id";
/** On a ReplicaSet; written by old versions of Argo only. */
export const RESTARTED_AFTER_ANNOTATION = "argo-rollouts.argoproj.io/restarted-after";
/** On the ReplicaSets of an Experiment. */
export const EXPERIMENT_NAME_ANNOTATION = "experiment.argoproj.io/name";
export const EXPERIMENT_TEMPLATE_ANNOTATION = "experiment.argoproj.io/template-name";
/** On an AnalysisRun of an Experiment: JSON, template and arguments as the analysis was written when the run began. */
export const EXPERIMENT_ANALYSIS_ANNOTATION = "weir.dev/analysis";
/** On an AnalysisRun: one of ROLLOUT_TYPES. */
export const ROLLOUT_TYPE_LABEL = "rollout-type";
/** On an AnalysisRun of a step: its index. */
export const STEP_INDEX_LABEL = "step-index";
/** On the Jobs of a measurement. */
export const ANALYSIS_RUN_UID_LABEL = "analysisrun.argoproj.io/uid";
export const ANALYSIS_RUN_NAME_ANNOTATION = "analysisrun.argoproj.io/name";
export const ANALYSIS_RUN_NAMESPACE_ANNOTATION = "analysisrun.argoproj.io/namespace";
export const ANALYSIS_RUN_METRIC_ANNOTATION = "analysisrun.argoproj.io/metric-name";
export const NOTIFIED_ANNOTATION = "notified.notifications.argoproj.io";
/** kubectl's and weir's record of what was last applied on the client side. */
export const LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";

/** Values of ROLLOUT_TYPE_LABEL. */
export const ROLLOUT_TYPES = {
  step: "Step",
  background: "Background",
  prePromotion: "PrePromotion",
  postPromotion: "PostPromotion",
} as const;

/** Annotations of a Rollout that its ReplicaSets don't take over. */
export const ANNOTATIONS_KEPT_OFF_REPLICA_SETS: readonly string[] = [
  LAST_APPLIED_ANNOTATION,
  REVISION_ANNOTATION,
  REVISION_HISTORY_ANNOTATION,
  DESIRED_REPLICAS_ANNOTATION,
  NOTIFIED_ANNOTATION,
];

/** The Service that an EndpointSlice belongs to, and who writes the slice. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
export const ENDPOINT_SLICE_MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";

/** The name of weir's router in `trafficRouting.plugins`. */
export const WEIR_ROUTER = "weir.dev/proxy";
/** On a Rollout: how much of all traffic, in percent, goes back to stable at a time after an abort. Default 20 when the interval is set. */
export const ABORT_STEP_ANNOTATION = "weir.dev/abort-step";
/** On a Rollout: how long after an abort's last step back the next one follows, as a Go duration. Default 10s when the step is set. */
export const ABORT_INTERVAL_ANNOTATION = "weir.dev/abort-interval";
/** On a Rollout: an update is aborted when one container of its pods has ended that often. */
export const CRASH_LOOP_ANNOTATION = "weir.dev/abort-after-crashes";
/** On the ReplicaSet of an aborted version: when traffic was last taken from it, RFC 3339. */
export const TRAFFIC_LOWERED_ANNOTATION = "weir.dev/traffic-lowered-at";
/** On a ReplicaSet: its version was not promoted since it was last wanted. A blue-green Rollout that goes back to it tries it again. */
export const ON_TRIAL_ANNOTATION = "weir.dev/on-trial";
/** The name of weir's plugin in a canary's `steps[].plugin`: a webhook that does a step's work, or gates it. */
export const WEIR_WEBHOOK_STEP = "weir.dev/webhook";
/** The name of weir's metric in `provider.plugin`. */
export const WEIR_TRAFFIC_METRIC = "weir.dev/traffic";
/** On a pod: JSON, the declared container port to the port that the process really listens on. */
export const PORTS_ANNOTATION = "weir.dev/ports";
/** On a pod template: `address:port,…` of backends that run elsewhere. */
export const ENDPOINTS_ANNOTATION = "weir.dev/endpoints";
/** On such a pod, written by the node agent: those of the endpoints that pass their health check. */
export const HEALTHY_ENDPOINTS_ANNOTATION = "weir.dev/healthy-endpoints";
