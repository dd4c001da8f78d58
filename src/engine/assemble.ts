// The end of every pass: what its planners hand in becomes the plan, with its explanation.
import { type TrafficIntent, usesWeirRouter } from "../api/api.ts";
import type { Context } from "./context.ts";
import type { Action, Plan, PlannedEvent, PluginCall, Wait } from "./plan.ts";
import { endedRecord } from "./status/duration.ts";
import { explanationOf } from "./status/explain.ts";
import { clean } from "./status/status.ts";

/** What a planner hands in. */
export interface Parts {
  readonly planner: string;
  readonly status: Plan["status"];
  readonly actions?: readonly Action[];
  readonly calls?: readonly PluginCall[];
  readonly events?: readonly PlannedEvent[];
  readonly verdicts?: readonly PlannedEvent[] | undefined;
  readonly traffic: TrafficIntent | undefined;
  /** Whether this pass decided it. Only then are other routers' objects written; proxies, which forget, may need what was decided before. */
  readonly isTrafficDecided: boolean;
  readonly requeueAtMs?: readonly (number | undefined)[];
  readonly waits?: readonly Wait[];
  readonly warnings?: readonly string[];
  readonly next: string;
}

/** Puts a plan together, with its explanation. */
export function assemble(context: Context, parts: Parts): Plan {
  const {
    status,
    traffic,
    isTrafficDecided,
    verdicts,
    actions = [],
    calls = [],
    events = [],
    requeueAtMs = [],
    waits = [],
    warnings = [],
  } = parts;
  const times = requeueAtMs.filter((atMs) => atMs !== undefined);
  return clean<Plan>({
    actions,
    status,
    ended: endedRecord(context.status.duration, status.duration),
    traffic: isForProxies(context) ? traffic : undefined,
    routerTraffic: isTrafficDecided && isForRouters(context) ? traffic : undefined,
    events,
    verdicts,
    calls: calls.length === 0 ? undefined : calls,
    // Not before now, whatever a planner says: that would go round for ever.
    requeueAtMs: times.length === 0 ? undefined : Math.max(Math.min(...times), context.nowMs + 1),
    warnings,
    explanation: explanationOf(context, {
      planner: parts.planner,
      status,
      traffic,
      actions,
      waits,
      next: parts.next,
    }),
  });
}

/** Whether an intent is weir's proxies' business: not where other routers alone split the traffic. */
function isForProxies({ hasRouter, rollout }: Context): boolean {
  return !hasRouter || usesWeirRouter(rollout);
}

/** Whether it is that of other routers' objects too. */
function isForRouters({ snapshot }: Context): boolean {
  return snapshot.traffic.routers !== undefined;
}
