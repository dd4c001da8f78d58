// Schema of Rollout (argoproj.io/v1alpha1): spec and status, complete by field.
import { z } from "zod";
import { ANALYSIS_PHASES } from "./analysisschema.ts";
import { podTemplateSpec } from "./podschema.ts";
import { anyJson, durationText, int32, kindOf, labelSelector, open, type Parsed, time } from "./shapes.ts";
import { rolloutStrategy } from "./strategyschema.ts";

export const ROLLOUT_PHASES = ["Healthy", "Degraded", "Progressing", "Paused"] as const;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];

export const PAUSE_REASONS = [
  "CanaryPauseStep",
  "BlueGreenPause",
  "InconclusiveAnalysisRun",
  "InconclusiveExperiment",
] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];

const rolloutSpec = open({
  /** Default 1. */
  replicas: int32.optional(),
  selector: labelSelector.optional(),
  template: podTemplateSpec.optional(),
  workloadRef: open({
    apiVersion: z.string().optional(),
    kind: z.string().optional(),
    name: z.string().optional(),
    /** `never` (the default), `onsuccess` or `progressively`. */
    scaleDown: z.string().optional(),
  }).optional(),
  minReadySeconds: int32.optional(),
  rollbackWindow: open({ revisions: int32.optional() }).optional(),
  strategy: rolloutStrategy.optional(),
  revisionHistoryLimit: int32.optional(),
  paused: z.boolean().optional(),
  progressDeadlineSeconds: int32.optional(),
  progressDeadlineAbort: z.boolean().optional(),
  restartAt: time.optional(),
  analysis: open({
    successfulRunHistoryLimit: int32.optional(),
    unsuccessfulRunHistoryLimit: int32.optional(),
  }).optional(),
});
export type RolloutSpec = Parsed<typeof rolloutSpec>;

const pauseCondition = open({ reason: z.enum(PAUSE_REASONS), startTime: time });
export type PauseCondition = Parsed<typeof pauseCondition>;

export const rolloutCondition = open({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  lastUpdateTime: time.optional(),
  lastTransitionTime: time.optional(),
  reason: z.string(),
  message: z.string(),
});
export type RolloutCondition = Parsed<typeof rolloutCondition>;

const weightDestination = open({
  weight: int32,
  serviceName: z.string().optional(),
  podTemplateHash: z.string().optional(),
});
export type WeightDestination = Parsed<typeof weightDestination>;

const trafficWeights = open({
  canary: weightDestination,
  stable: weightDestination,
  additional: z.array(weightDestination).optional(),
  /** Absent: the router cannot tell. */
  verified: z.boolean().optional(),
});
export type TrafficWeights = Parsed<typeof trafficWeights>;

const analysisRunRef = open({
  name: z.string(),
  status: z.enum(ANALYSIS_PHASES).optional(),
  message: z.string().optional(),
});
/** The run that a Rollout waits for, with its phase as last seen. */
export type AnalysisRunRef = Parsed<typeof analysisRunRef>;

const stepPluginStatus = open({
  index: int32,
  name: z.string(),
  operation: z.enum(["Run", "Terminate", "Abort"]),
  phase: z.enum(["Running", "Successful", "Failed", "Error"]).optional(),
  message: z.string().optional(),
  startedAt: time.optional(),
  updatedAt: time.optional(),
  finishedAt: time.optional(),
  backoff: durationText.optional(),
  executions: int32.optional(),
  disabled: z.boolean().optional(),
  status: anyJson.optional(),
});
export type StepPluginStatus = Parsed<typeof stepPluginStatus>;

const pingPong = z.enum(["ping", "pong"]);
/** Which of two Services that swap their parts. */
export type PingPong = z.output<typeof pingPong>;

const canaryStatus = open({
  currentStepAnalysisRunStatus: analysisRunRef.optional(),
  currentBackgroundAnalysisRunStatus: analysisRunRef.optional(),
  currentExperiment: z.string().optional(),
  weights: trafficWeights.optional(),
  stablePingPong: pingPong.optional(),
  stepPluginStatuses: z.array(stepPluginStatus).optional(),
});
export type CanaryStatus = Parsed<typeof canaryStatus>;

const blueGreenStatus = open({
  previewSelector: z.string().optional(),
  activeSelector: z.string().optional(),
  scaleUpPreviewCheckPoint: z.boolean().optional(),
  prePromotionAnalysisRunStatus: analysisRunRef.optional(),
  postPromotionAnalysisRunStatus: analysisRunRef.optional(),
});
export type BlueGreenStatus = Parsed<typeof blueGreenStatus>;

const awsResource = open({ name: z.string(), arn: z.string(), fullName: z.string().optional() });
const albStatus = open({
  loadBalancer: awsResource.optional(),
  canaryTargetGroup: awsResource.optional(),
  stableTargetGroup: awsResource.optional(),
  ingress: z.string().optional(),
});

export const COMPLETION_STATUSES = [
  "Promoted",
  "FastPromoted",
  "Aborted",
  "Superseded",
  "RolledBack",
  "FastRolledBack",
] as const;
export type CompletionStatus = (typeof COMPLETION_STATUSES)[number];

const rolloutDuration = open({
  rolloutStartedAt: time.optional(),
  manualPauseStartedAt: time.optional(),
  totalManualPauseDurationSeconds: int32.optional(),
  finishedAt: time.optional(),
  completionStatus: z.enum(COMPLETION_STATUSES).optional(),
});
export type RolloutDuration = Parsed<typeof rolloutDuration>;

const rolloutStatus = open({
  abort: z.boolean().optional(),
  pauseConditions: z.array(pauseCondition).optional(),
  controllerPause: z.boolean().optional(),
  abortedAt: time.optional(),
  currentPodHash: z.string().optional(),
  currentStepHash: z.string().optional(),
  replicas: int32.optional(),
  updatedReplicas: int32.optional(),
  readyReplicas: int32.optional(),
  availableReplicas: int32.optional(),
  currentStepIndex: int32.optional(),
  collisionCount: int32.optional(),
  /** A generation as text. */
  observedGeneration: z.string().optional(),
  conditions: z.array(rolloutCondition).optional(),
  canary: canaryStatus.optional(),
  blueGreen: blueGreenStatus.optional(),
  HPAReplicas: int32.optional(),
  selector: z.string().optional(),
  stableRS: z.string().optional(),
  restartedAt: time.optional(),
  promoteFull: z.boolean().optional(),
  phase: z.enum(ROLLOUT_PHASES).optional(),
  message: z.string().optional(),
  workloadObservedGeneration: z.string().optional(),
  alb: albStatus.optional(),
  albs: z.array(albStatus).optional(),
  duration: rolloutDuration.optional(),
});
export type RolloutStatus = Parsed<typeof rolloutStatus>;

export const rolloutSchema = kindOf({ spec: rolloutSpec, status: rolloutStatus });
export type Rollout = Parsed<typeof rolloutSchema>;
