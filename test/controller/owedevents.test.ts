// The account of events whose pass was lost: what is told, once, and in which order.
import { test } from "tap";
import { createOwedEvents } from "../../src/controller/owedevents.ts";
import type { Action, PlannedEvent } from "../../src/engine/decide.ts";

const event = (reason: string, of?: PlannedEvent["of"]): PlannedEvent => ({
  type: "Normal",
  reason,
  message: `${reason} it is`,
  ...(of !== undefined && { of }),
});
const scale = { kind: "scaleReplicaSet", name: "web-1" } as const;
const scaled = event("Scaled", scale);
const action: Action = {
  ...scale,
  namespace: "shop",
  uid: "1",
  from: 0,
  replicas: 1,
  annotations: {},
  reason: "because",
};
const reasons = (events: readonly PlannedEvent[]): readonly string[] => events.map(({ reason }) => reason);

test("owed: what a lost pass had written is told once, with the next that succeeds", async (t) => {
  const owed = createOwedEvents();
  t.strictSame(reasons(owed.settle("a", [event("Seen")])), ["Seen"], "nothing is owed at first");
  owed.lost("a", [action], [event("Completed"), scaled, event("Paused")]);
  t.strictSame(reasons(owed.settle("b", [])), [], "each Rollout has its own account");
  t.strictSame(reasons(owed.settle("a", [event("Aborted")])), ["Scaled", "Aborted"], "Paused was never true");
  t.strictSame(reasons(owed.settle("a", [])), []);
});

test("owed: what is told again keeps its place among what is owed", async (t) => {
  const owed = createOwedEvents();
  owed.lost("a", [action], [event("Completed"), scaled, event("Paused")]);
  owed.lost("a", [], [event("Completed"), event("Paused")]);
  const last = [event("Completed"), event("Paused"), event("Weighed")];
  t.strictSame(reasons(owed.settle("a", last)), ["Completed", "Scaled", "Paused", "Weighed"]);
});

test("owed: a pass that failed before it wrote anything owes nothing", async (t) => {
  const owed = createOwedEvents();
  owed.lost("a", [], [scaled]);
  t.strictSame(reasons(owed.settle("a", [scaled])), ["Scaled"]);
  owed.lost("a", [action], [scaled]);
  owed.forget("a");
  t.strictSame(reasons(owed.settle("a", [])), []);
});
