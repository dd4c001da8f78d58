// Tells on a Gateway, as events, which of its proxies refuse their configuration and in which words, and when that is over: a port that
// another process has, above all. Each once, however often a proxy is asked again.
import { type EventRecorder, subjectOf } from "../cluster/client.ts";
import type { Caches } from "./caches.ts";
import type { NodeState } from "./nodes.ts";

export interface RefusalDeps {
  readonly caches: Pick<Caches, "gateways">;
  readonly events: EventRecorder;
}

/** Makes the teller of the group `gateway/<namespace>/<name>`; it is given the connected proxies whenever something was heard of one. */
export function createRefusals(deps: RefusalDeps, group: string): (nodes: readonly NodeState[]) => void {
  /** What was told, by proxy. */
  const told = new Map<string, string>();
  const tell = (type: "Normal" | "Warning", reason: string, message: string): void => {
    const gateway = deps.caches.gateways.store.get(group.replace("gateway/", ""));
    if (gateway !== undefined) void deps.events.record(subjectOf(gateway), type, reason, message);
  };
  return (nodes) => {
    const present = new Set(nodes.map(({ id }) => id));
    for (const id of told.keys()) if (!present.has(id)) told.delete(id);
    for (const { id, nack } of nodes) {
      const before = told.get(id);
      if (nack === before) continue;
      if (nack === undefined) {
        told.delete(id);
        tell("Normal", "ProxyAccepted", `proxy ${id} has taken the configuration that it had refused`);
      } else {
        told.set(id, nack);
        tell("Warning", "ProxyRefused", `proxy ${id} keeps its last good configuration: ${nack}`);
      }
    }
  };
}
