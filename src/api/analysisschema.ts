// Schemas of AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun (argoproj.io/v1alpha1), complete by field.
import { z } from "zod";
import { metricProvider } from "./providerschema.ts";
import { durationText, int32, intOrString, kindOf, open, type Parsed, stringMap, time } from "./shapes.ts";

export const ANALYSIS_PHASES = [
  "Pending",
  "Running",
  "Successful",
  "Failed",
  "Error",
  "Inconclusive",
] as const;
export type AnalysisPhase = (typeof ANALYSIS_PHASES)[number];
const analysisPhase = z.enum(ANALYSIS_PHASES);

const metric = open({
  name: z.string(),
  interval: durationText.optional(),
  initialDelay: durationText.optional(),
  /** A number, or an argument's tag. */
  count: intOrString.optional(),
  successCondition: z.string().optional(),
  failureCondition: z.string().optional(),
  failureLimit: intOrString.optional(),
  inconclusiveLimit: intOrString.optional(),
  consecutiveErrorLimit: intOrString.optional(),
  consecutiveSuccessLimit: intOrString.optional(),
  provider: metricProvider,
});
export type Metric = Parsed<typeof metric>;
export type MetricProvider = Parsed<typeof metricProvider>;

export const argument = open({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: open({
    secretKeyRef: open({ name: z.string(), key: z.string() }).optional(),
    fieldRef: open({ fieldPath: z.string() }).optional(),
  }).optional(),
});
/** An argument of a template or run. */
export type Argument = Parsed<typeof argument>;

/** Metrics (by regular expression) whose verdict is recorded and does not count. */
export const dryRun = open({ metricName: z.string() });
export const measurementRetention = open({ metricName: z.string(), limit: int32 });
export type DryRun = Parsed<typeof dryRun>;
export type MeasurementRetention = Parsed<typeof measurementRetention>;

export const analysisTemplateRef = open({
  templateName: z.string().optional(),
  clusterScope: z.boolean().optional(),
});
export type AnalysisTemplateRef = Parsed<typeof analysisTemplateRef>;

const analysisTemplateSpec = open({
  metrics: z.array(metric).optional(),
  args: z.array(argument).optional(),
  dryRun: z.array(dryRun).optional(),
  measurementRetention: z.array(measurementRetention).optional(),
  templates: z.array(analysisTemplateRef).optional(),
});
export type AnalysisTemplateSpec = Parsed<typeof analysisTemplateSpec>;

export const analysisTemplateSchema = kindOf({ spec: analysisTemplateSpec });
export type AnalysisTemplate = Parsed<typeof analysisTemplateSchema>;
export const clusterAnalysisTemplateSchema = kindOf({ spec: analysisTemplateSpec });
export type ClusterAnalysisTemplate = Parsed<typeof clusterAnalysisTemplateSchema>;

const analysisRunSpec = open({
  metrics: z.array(metric),
  args: z.array(argument).optional(),
  terminate: z.boolean().optional(),
  dryRun: z.array(dryRun).optional(),
  measurementRetention: z.array(measurementRetention).optional(),
  ttlStrategy: open({
    secondsAfterCompletion: int32.optional(),
    secondsAfterFailure: int32.optional(),
    secondsAfterSuccess: int32.optional(),
  }).optional(),
});
export type AnalysisRunSpec = Parsed<typeof analysisRunSpec>;

const measurement = open({
  phase: analysisPhase,
  message: z.string().optional(),
  startedAt: time.optional(),
  finishedAt: time.optional(),
  /** The result as text. */
  value: z.string().optional(),
  metadata: stringMap.optional(),
  resumeAt: time.optional(),
});
export type Measurement = Parsed<typeof measurement>;

const metricResult = open({
  name: z.string(),
  phase: analysisPhase,
  measurements: z.array(measurement).optional(),
  message: z.string().optional(),
  /** Measurements that completed without an error. */
  count: int32.optional(),
  successful: int32.optional(),
  failed: int32.optional(),
  inconclusive: int32.optional(),
  error: int32.optional(),
  consecutiveError: int32.optional(),
  consecutiveSuccess: int32.optional(),
  dryRun: z.boolean().optional(),
  metadata: stringMap.optional(),
});
export type MetricResult = Parsed<typeof metricResult>;

const runSummary = open({
  count: int32.optional(),
  successful: int32.optional(),
  failed: int32.optional(),
  inconclusive: int32.optional(),
  error: int32.optional(),
});
export type RunSummary = Parsed<typeof runSummary>;

const analysisRunStatus = open({
  /** Absent before the first look at the run. */
  phase: analysisPhase.optional(),
  message: z.string().optional(),
  metricResults: z.array(metricResult).optional(),
  startedAt: time.optional(),
  completedAt: time.optional(),
  runSummary: runSummary.optional(),
  dryRunSummary: runSummary.optional(),
});
export type AnalysisRunStatus = Parsed<typeof analysisRunStatus>;

export const analysisRunSchema = kindOf({ spec: analysisRunSpec, status: analysisRunStatus });
export type AnalysisRun = Parsed<typeof analysisRunSchema>;
