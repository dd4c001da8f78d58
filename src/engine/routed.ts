// Routers beside weir's own: whether their objects hold what was decided. Nobody there tells what is in force, so the objects are all that can
// be waited for; that they hold something else is known, not doubted, and so nothing goes on without them.
import { REASONS, splitFor, type TrafficIntent } from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import type { Context } from "./context.ts";
import type { PlannedEvent } from "./plan.ts";

/** What keeps the routers' objects from holding `intent`, in words; undefined when they hold it, or there is no such router. */
export function unheldWords(context: Context, intent: TrafficIntent): string | undefined {
  const { routers = [] } = context.snapshot.traffic;
  const words = routers.flatMap(({ name, capabilities, state, trouble }) => {
    if (state.kind === "refused") return [`${name}: ${state.why}`];
    const holds = state.kind === "holds" && jsonEqual(state.split, splitFor(intent, capabilities));
    if (holds) return [];
    return [`${name} does not hold the weights yet${trouble === undefined ? "" : `: ${trouble}`}`];
  });
  return words.length === 0 ? undefined : words.join("; ");
}

/** What only somebody can mend about the routers' objects, to be added to a message. */
export function routerRefusals({ snapshot }: Context): string {
  const { routers = [] } = snapshot.traffic;
  return routers
    .map(({ name, state }) => (state.kind === "refused" ? `; ${name}: ${state.why}` : ""))
    .join("");
}

/**
 * The events of a pass with those of the writes to routers' objects, which come before the news of the weights, as Argo tells them.
 * Source: Argo: rollout/trafficrouting.go, v1.9.
 */
export function withRouterEvents(
  events: readonly PlannedEvent[],
  written: readonly Pick<PlannedEvent, "reason" | "message">[],
): readonly PlannedEvent[] {
  const at = events.findIndex(({ reason }) => reason === REASONS.trafficWeightUpdated);
  const told = written.map(({ reason, message }): PlannedEvent => ({ type: "Normal", reason, message }));
  return at < 0 ? [...events, ...told] : [...events.slice(0, at), ...told, ...events.slice(at)];
}
