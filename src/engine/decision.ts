// What one pass of a strategy comes to, whichever strategy it is. decide.ts hands it to the status, the events and the explanation: these
// three are built from it and the snapshot alone.
import type { RolloutStatus, TrafficIntent } from "../api/api.ts";
import type { Action, PlannedEvent, PluginCall, Wait } from "./plan.ts";
import type { Mode, Stage } from "./stage.ts";

export interface Decision {
  /** The page to read, as explain names it. */
  readonly planner: string;
  readonly mode: Mode;
  readonly stage: Stage;
  /** The stable version as the pass leaves it; empty before there is one. */
  readonly stableHash: string;
  /** Why it was promoted by this pass. */
  readonly promotion: string | undefined;
  /** It goes past pauses and analyses in a mode that otherwise does not: a rollback within a delay. */
  readonly isFast?: boolean;
  /** Fields of the status that the strategy alone decides, over those that all share. */
  readonly status: Partial<RolloutStatus>;
  /** What a healthy Rollout would claim and does not hold yet, in words; undefined when all is well. */
  readonly unsettled: string | undefined;
  /** What the proxies should do. */
  readonly traffic: TrafficIntent | undefined;
  readonly actions: readonly Action[];
  /** Of step plugins. */
  readonly calls?: readonly PluginCall[];
  readonly events: DecisionEvents;
  readonly waits: readonly Wait[];
  readonly warnings: readonly string[];
  readonly requeueAtMs: readonly (number | undefined)[];
  /** What comes once the waits are over. */
  readonly next: string;
}

/** In the order of the events: before those that tell of an update begun, after them, and after all others. */
export interface DecisionEvents {
  /** Of the preview Service, which follows the wanted version at once. */
  readonly first: readonly PlannedEvent[];
  readonly steps: readonly PlannedEvent[];
  /** Of weights, sizes and Services. */
  readonly scaling: readonly PlannedEvent[];
  readonly last: readonly PlannedEvent[];
}
