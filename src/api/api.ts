// The door of api/: what other rooms may use, by name.
export { abortSettingErrors, crashLoopLimitOf, type GradualAbort, gradualAbortOf } from "./abortsettings.ts";
export {
  ANALYSIS_PHASES,
  type AnalysisPhase,
  type AnalysisRun,
  type AnalysisRunSpec,
  type AnalysisRunStatus,
  type AnalysisTemplate,
  type AnalysisTemplateRef,
  type AnalysisTemplateSpec,
  type Argument,
  type ClusterAnalysisTemplate,
  type DryRun,
  type Measurement,
  type MeasurementRetention,
  type Metric,
  type MetricProvider,
  type MetricResult,
  type RunSummary,
} from "./analysisschema.ts";
export { type Issue, isReadableKind, structuralFindings, unknownFields } from "./check.ts";
export { withDecodableTemplate } from "./decodable.ts";
export { didYouMean, type Finding, formatPath, nearestName, type Path } from "./decode.ts";
export {
  abortScaleDownDelayOf,
  DEFAULT_MAX_TRAFFIC_WEIGHT,
  DEFAULT_MEASUREMENTS_KEPT,
  ERROR_RETRY_INTERVAL_MS,
  effectiveCountOf,
  experimentDeadlineSecondsOf,
  experimentScaleDownDelaySecondsOf,
  maxTrafficWeightOf,
  metricLimitsOf,
  minReadySecondsOf,
  progressDeadlineSecondsOf,
  replicasOf,
  revisionHistoryLimitOf,
  rollingLimitsOf,
  runHistoryLimitsOf,
  scaleDownDelaySecondsOf,
} from "./defaults.ts";
export { semanticallyEqualTemplates } from "./equaltemplates.ts";
export { EXPERIMENT_MESSAGES, EXPERIMENT_REASONS } from "./experimentreasons.ts";
export {
  type Experiment,
  type ExperimentAnalysis,
  type ExperimentAnalysisRunStatus,
  type ExperimentSpec,
  type ExperimentStatus,
  type ExperimentTemplate,
  TEMPLATE_STATUSES,
  type TemplateStatus,
  type TemplateStatusCode,
} from "./experimentschema.ts";
export {
  type FieldError,
  type FieldErrorType,
  fieldErrorText,
  internalError,
  invalid,
} from "./fielderror.ts";
export type {
  Gateway,
  GatewayListener,
  HttpBackendRef,
  HttpHeaderModifier,
  HttpPathModifier,
  HttpRequestMirror,
  HttpRoute,
  HttpRouteFilter,
  HttpRouteMatch,
  HttpRouteRule,
  ParentRef,
} from "./gatewayschema.ts";
export {
  avoidedVersion,
  injectedMetadata,
  plainAffinity,
  plainTemplate,
  type RoleMetadata,
  rememberedMetadata,
  withAvoidance,
} from "./injected.ts";
export { type IntOrString, intValue, scaledValue } from "./intstr.ts";
export type {
  ConfigMap,
  Endpoint,
  EndpointSlice,
  Event,
  Ingress,
  IngressPath,
  IngressRule,
  Lease,
  Namespace,
  Node,
  ObjectReference,
  ReplicaSet,
  Secret,
  Service,
  ServicePort,
  TargetGroupBinding,
} from "./kubeschema.ts";
export {
  ABORT_INTERVAL_ANNOTATION,
  ABORT_STEP_ANNOTATION,
  ANALYSIS_RUN_METRIC_ANNOTATION,
  ANALYSIS_RUN_NAME_ANNOTATION,
  ANALYSIS_RUN_NAMESPACE_ANNOTATION,
  ANALYSIS_RUN_UID_LABEL,
  ANNOTATIONS_KEPT_OFF_REPLICA_SETS,
  CRASH_LOOP_ANNOTATION,
  DEPLOYMENT_POD_HASH_LABEL,
  DESIRED_REPLICAS_ANNOTATION,
  ENDPOINT_SLICE_MANAGED_BY_LABEL,
  ENDPOINTS_ANNOTATION,
  EPHEMERAL_METADATA_ANNOTATION,
  EXPERIMENT_ANALYSIS_ANNOTATION,
  EXPERIMENT_NAME_ANNOTATION,
  EXPERIMENT_TEMPLATE_ANNOTATION,
  HEALTHY_ENDPOINTS_ANNOTATION,
  INSTANCE_ID_LABEL,
  LAST_APPLIED_ANNOTATION,
  MANAGED_BY_ANNOTATION,
  NOTIFIED_ANNOTATION,
  ON_TRIAL_ANNOTATION,
  POD_HASH_LABEL,
  PORTS_ANNOTATION,
  RESTARTED_AFTER_ANNOTATION,
  REVISION_ANNOTATION,
  REVISION_HISTORY_ANNOTATION,
  ROLLOUT_TYPE_LABEL,
  ROLLOUT_TYPES,
  SCALE_DOWN_DEADLINE_ANNOTATION,
  SERVICE_NAME_LABEL,
  STEP_INDEX_LABEL,
  TRAFFIC_LOWERED_ANNOTATION,
  WEIR_ROUTER,
  WEIR_TRAFFIC_METRIC,
  WEIR_WEBHOOK_STEP,
  WORKLOAD_GENERATION_ANNOTATION,
} from "./labels.ts";
export { lint, metricErrors, rolloutErrors } from "./lint.ts";
export { controllerOf, type KubeObject, keyOf, type ObjectMeta, type OwnerReference } from "./meta.ts";
export { podTemplateHash, stepHash } from "./podhash.ts";
export type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvVar,
  LifecycleHandler,
  Pod,
  PodCondition,
  PodSpec,
  PodStatus,
  PodTemplateSpec,
  Probe,
} from "./podschema.ts";
export {
  POLICY_TARGETS,
  type PolicyCondition,
  type PolicySection,
  type PolicySections,
  type PolicyTargetRef,
  type TrafficPolicy,
} from "./policyschema.ts";
export {
  type Read,
  type ReadableKind,
  readAnalysisRun,
  readAnalysisTemplate,
  readClusterAnalysisTemplate,
  readConfigMap,
  readEndpointSlice,
  readEvent,
  readExperiment,
  readGateway,
  readHttpRoute,
  readIngress,
  readLease,
  readNamespace,
  readNode,
  readPod,
  readReplicaSet,
  readRollout,
  readSecret,
  readService,
  readTargetGroupBinding,
  readTrafficPolicy,
} from "./read.ts";
export {
  analysisRunReason,
  CLIENT_MESSAGES,
  CONDITION_TYPES,
  type ConditionType,
  MESSAGES,
  metricReason,
  PHASE_MESSAGES,
  PROMOTION_REASONS,
  REASONS,
  type Reason,
  stepText,
} from "./reasons.ts";
export { apiVersionOf, CLUSTER_RESOURCES, RESOURCES, type ResourceType } from "./resources.ts";
export {
  type AnalysisRunRef,
  type BlueGreenStatus,
  type CanaryStatus,
  type CompletionStatus,
  PAUSE_REASONS,
  type PauseCondition,
  type PauseReason,
  type PingPong,
  ROLLOUT_PHASES,
  type Rollout,
  type RolloutCondition,
  type RolloutDuration,
  type RolloutPhase,
  type RolloutSpec,
  type RolloutStatus,
  type StepPluginStatus,
  type TrafficWeights,
  type WeightDestination,
} from "./rolloutschema.ts";
export {
  type CapabilityTable,
  type GroupWeight,
  type HeaderRoute,
  type Registration,
  ROUTER_CAPABILITIES,
  type RouterCapabilities,
  type RouterProblem,
  type RouterState,
  type RouterView,
  type ServiceSplit,
  type ServiceWeight,
  splitFor,
  UNKNOWN_PLUGIN,
  usedRouters,
  type Verification,
  WEIGHTS_ONLY,
} from "./routers.ts";
export type { TrafficRouting } from "./routingschema.ts";
export { selectorMatches, selectorText } from "./selector.ts";
export { type CanaryServices, canaryServicesOf, pingPongAfter, servicesNamedBy } from "./services.ts";
export type { DeepReadonly, LabelSelector } from "./shapes.ts";
export {
  type CanaryScale,
  type MemberOf,
  memberOf,
  membersOf,
  pauseDurationMs,
  type Step,
  type StepMember,
  type Strategy,
  stepOf,
  stepsOf,
  strategyOf,
} from "./strategy.ts";
export type {
  AnalysisArgument,
  BackgroundAnalysis,
  BlueGreenStrategy,
  CanaryStep,
  CanaryStrategy,
  RolloutAnalysis,
} from "./strategyschema.ts";
export {
  type Acknowledgement,
  type HeaderMatch,
  isOfManagedRoute,
  type ManagedRoute,
  type MirrorMatch,
  managedRouteSuffix,
  rootServiceOf,
  type SilentNode,
  type TextMatch,
  type TrafficIntent,
  type VersionWeight,
} from "./traffic.ts";
export { readTrafficMetric, type TrafficMetric } from "./trafficmetric.ts";
export { invalidSpecMessage, validateRollout } from "./validate.ts";
export { type MetricError, validateMetrics } from "./validatemetrics.ts";
export { validatePodSpec, validatePodTemplate } from "./validatepod.ts";
export { readWebhookStep, type WebhookStep } from "./webhookstep.ts";
export { type ProxyRouting, proxyRoutingOf, readProxyRouting, usesWeirRouter } from "./weirsettings.ts";
export {
  type ResolvedRollout,
  resolveWorkload,
  templateOfWorkload,
  WORKLOAD_TYPES,
  type WorkloadReference,
  workloadTypeOf,
} from "./workloadref.ts";
