// Schema of Experiment (argoproj.io/v1alpha1), complete by field.
import { z } from "zod";
import { ANALYSIS_PHASES, argument, dryRun, measurementRetention } from "./analysisschema.ts";
import { podTemplateSpec } from "./podschema.ts";
import { rolloutCondition } from "./rolloutschema.ts";
import {
  durationText,
  int32,
  kindOf,
  labelSelector,
  metadataPatch,
  open,
  type Parsed,
  time,
} from "./shapes.ts";

const experimentTemplate = open({
  name: z.string(),
  /** Default 1. */
  replicas: int32.optional(),
  minReadySeconds: int32.optional(),
  selector: labelSelector,
  template: podTemplateSpec,
  /** Without a name the Service is called like the ReplicaSet. */
  service: open({ name: z.string().optional() }).optional(),
});
/** One version that an Experiment runs. */
export type ExperimentTemplate = Parsed<typeof experimentTemplate>;

const experimentAnalysis = open({
  name: z.string(),
  templateName: z.string(),
  clusterScope: z.boolean().optional(),
  args: z.array(argument).optional(),
  requiredForCompletion: z.boolean().optional(),
});
/** An analysis that an Experiment runs beside its templates. */
export type ExperimentAnalysis = Parsed<typeof experimentAnalysis>;

const experimentSpec = open({
  templates: z.array(experimentTemplate),
  /** From the moment when all templates are available; absent: until it is terminated or its required analyses are done. */
  duration: durationText.optional(),
  /** Default 600. */
  progressDeadlineSeconds: int32.optional(),
  terminate: z.boolean().optional(),
  analyses: z.array(experimentAnalysis).optional(),
  /** Default 30. */
  scaleDownDelaySeconds: int32.optional(),
  dryRun: z.array(dryRun).optional(),
  measurementRetention: z.array(measurementRetention).optional(),
  analysisRunMetadata: metadataPatch.optional(),
});
export type ExperimentSpec = Parsed<typeof experimentSpec>;

export const TEMPLATE_STATUSES = ["Progressing", "Running", "Successful", "Failed", "Error"] as const;
export type TemplateStatusCode = (typeof TEMPLATE_STATUSES)[number];

const templateStatus = open({
  name: z.string(),
  replicas: int32,
  updatedReplicas: int32,
  readyReplicas: int32,
  availableReplicas: int32,
  collisionCount: int32.optional(),
  /** Absent before the first look. */
  status: z.enum(TEMPLATE_STATUSES).optional(),
  message: z.string().optional(),
  /** When its pods last changed: the progress deadline counts from here. */
  lastTransitionTime: time.optional(),
  serviceName: z.string().optional(),
  podTemplateHash: z.string().optional(),
});
export type TemplateStatus = Parsed<typeof templateStatus>;

const experimentAnalysisRunStatus = open({
  /** Of the analysis in the spec. */
  name: z.string(),
  /** Of the AnalysisRun; empty when none could be made. */
  analysisRun: z.string(),
  phase: z.enum(ANALYSIS_PHASES),
  message: z.string().optional(),
});
export type ExperimentAnalysisRunStatus = Parsed<typeof experimentAnalysisRunStatus>;

const experimentStatus = open({
  /** Absent before the first look at the Experiment. */
  phase: z.enum(ANALYSIS_PHASES).optional(),
  message: z.string().optional(),
  templateStatuses: z.array(templateStatus).optional(),
  availableAt: time.optional(),
  conditions: z.array(rolloutCondition).optional(),
  analysisRuns: z.array(experimentAnalysisRunStatus).optional(),
});
export type ExperimentStatus = Parsed<typeof experimentStatus>;

export const experimentSchema = kindOf({ spec: experimentSpec, status: experimentStatus });
export type Experiment = Parsed<typeof experimentSchema>;
