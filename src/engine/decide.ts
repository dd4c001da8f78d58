// The door of engine/.

export type {
  Action,
  AnnotationChanges,
  ExplainedVersion,
  Explanation,
  Plan,
  PlannedEvent,
  Wait,
  WaitCode,
} from "./plan.ts";
export { type ActionRequest, type ObjectName, requestOf } from "./request.ts";
export {
  type AnalysisSnapshot,
  DEFAULT_ENGINE_CONFIG,
  type EngineConfig,
  type ServicesSnapshot,
  type Snapshot,
  type TrafficSnapshot,
  type ValidationSnapshot,
  type WorkloadSnapshot,
} from "./snapshot.ts";
