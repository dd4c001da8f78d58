// Schema of a Rollout's strategy: canary with its steps, and blue-green, complete by field.
import { z } from "zod";
import { analysisTemplateRef, dryRun, measurementRetention } from "./analysisschema.ts";
import { trafficRouting } from "./routingschema.ts";
import {
  anyJson,
  durationText,
  int32,
  intOrString,
  labelSelector,
  metadataPatch,
  opaque,
  open,
  type Parsed,
} from "./shapes.ts";

const argument = open({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: open({
    podTemplateHashValue: z.enum(["Stable", "Latest"]).optional(),
    fieldRef: open({ fieldPath: z.string() }).optional(),
  }).optional(),
});
/** An argument given to an analysis by a Rollout. */
export type AnalysisArgument = Parsed<typeof argument>;

const analysisShape = {
  templates: z.array(analysisTemplateRef).optional(),
  args: z.array(argument).optional(),
  dryRun: z.array(dryRun).optional(),
  measurementRetention: z.array(measurementRetention).optional(),
  analysisRunMetadata: metadataPatch.optional(),
};
const rolloutAnalysis = open(analysisShape);
/** An analysis as a step or as a blue-green gate names it. */
export type RolloutAnalysis = Parsed<typeof rolloutAnalysis>;
const backgroundAnalysis = open({ ...analysisShape, startingStep: int32.optional() });
export type BackgroundAnalysis = Parsed<typeof backgroundAnalysis>;

const stringMatch = open({
  exact: z.string().optional(),
  prefix: z.string().optional(),
  regex: z.string().optional(),
});
export type StringMatch = Parsed<typeof stringMatch>;

const experimentStep = open({
  templates: z.array(
    open({
      name: z.string(),
      specRef: z.enum(["canary", "stable"]),
      replicas: int32.optional(),
      metadata: metadataPatch.optional(),
      selector: labelSelector.optional(),
      weight: int32.optional(),
      service: open({ name: z.string().optional() }).optional(),
    }),
  ),
  duration: durationText.optional(),
  analyses: z
    .array(
      open({
        name: z.string(),
        templateName: z.string(),
        clusterScope: z.boolean().optional(),
        args: z.array(argument).optional(),
        requiredForCompletion: z.boolean().optional(),
      }),
    )
    .optional(),
  dryRun: z.array(dryRun).optional(),
  analysisRunMetadata: metadataPatch.optional(),
  scaleDownDelaySeconds: int32.optional(),
});

const canaryStep = open({
  setWeight: int32.optional(),
  /** Without a duration: until somebody promotes. */
  pause: open({ duration: intOrString.optional() }).optional(),
  experiment: experimentStep.optional(),
  analysis: rolloutAnalysis.optional(),
  setCanaryScale: open({
    weight: int32.optional(),
    replicas: int32.optional(),
    matchTrafficWeight: z.boolean().optional(),
  }).optional(),
  setHeaderRoute: open({
    name: z.string().optional(),
    match: z.array(open({ headerName: z.string(), headerValue: stringMatch })).optional(),
  }).optional(),
  setMirrorRoute: open({
    name: z.string(),
    match: z
      .array(
        open({
          method: stringMatch.optional(),
          path: stringMatch.optional(),
          headers: z.record(z.string(), stringMatch).optional(),
        }),
      )
      .optional(),
    percentage: int32.optional(),
  }).optional(),
  plugin: open({ name: z.string(), config: anyJson.optional() }).optional(),
});
/** A step as it is written: one member set, or several. The engine reads `stepsOf` instead. */
export type CanaryStep = Parsed<typeof canaryStep>;

const antiAffinity = open({
  preferredDuringSchedulingIgnoredDuringExecution: open({ weight: int32 }).optional(),
  requiredDuringSchedulingIgnoredDuringExecution: opaque.optional(),
});

const canaryStrategy = open({
  canaryService: z.string().optional(),
  stableService: z.string().optional(),
  steps: z.array(canaryStep).optional(),
  trafficRouting: trafficRouting.optional(),
  maxUnavailable: intOrString.optional(),
  maxSurge: intOrString.optional(),
  analysis: backgroundAnalysis.optional(),
  antiAffinity: antiAffinity.optional(),
  canaryMetadata: metadataPatch.optional(),
  stableMetadata: metadataPatch.optional(),
  scaleDownDelaySeconds: int32.optional(),
  scaleDownDelayRevisionLimit: int32.optional(),
  abortScaleDownDelaySeconds: int32.optional(),
  dynamicStableScale: z.boolean().optional(),
  pingPong: open({ pingService: z.string(), pongService: z.string() }).optional(),
  minPodsPerReplicaSet: int32.optional(),
  replicaProgressThreshold: open({ type: z.enum(["Percent", "Pods"]), value: int32 }).optional(),
});
export type CanaryStrategy = Parsed<typeof canaryStrategy>;

const blueGreenStrategy = open({
  activeService: z.string(),
  previewService: z.string().optional(),
  previewReplicaCount: int32.optional(),
  autoPromotionEnabled: z.boolean().optional(),
  autoPromotionSeconds: int32.optional(),
  maxUnavailable: intOrString.optional(),
  scaleDownDelaySeconds: int32.optional(),
  scaleDownDelayRevisionLimit: int32.optional(),
  prePromotionAnalysis: rolloutAnalysis.optional(),
  antiAffinity: antiAffinity.optional(),
  postPromotionAnalysis: rolloutAnalysis.optional(),
  previewMetadata: metadataPatch.optional(),
  activeMetadata: metadataPatch.optional(),
  abortScaleDownDelaySeconds: int32.optional(),
});
export type BlueGreenStrategy = Parsed<typeof blueGreenStrategy>;

export const rolloutStrategy = open({
  canary: canaryStrategy.optional(),
  blueGreen: blueGreenStrategy.optional(),
});
