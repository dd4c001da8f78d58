// What the tests of "Acknowledged weights" share: how a Rollout stands, and the beds that most of them begin with.
import type { Test } from "tap";
import type { Rollout } from "../../src/api/api.ts";
import { type Bed, canaryWeight, controllerBed, type Leader } from "./bed.ts";
import type { TestProxy } from "./proxies.ts";
import { createRelay, type Relay } from "./relay.ts";

/** Options of a test on this bed. */
export const BOUNDED = { timeout: 60_000 };

/** The canary's weight last decided. */
export const weightOf = ({ status }: Rollout): number | undefined => status.canary?.weights?.canary.weight;

/** Whether that weight is in force everywhere. */
export const isVerified = ({ status }: Rollout): boolean | undefined => status.canary?.weights?.verified;

/** At this step, with this weight decided, and acknowledged or not. */
export const isAt = (index: number, weight: number, verified: boolean) => (rollout: Rollout) =>
  rollout.status.currentStepIndex === index &&
  weightOf(rollout) === weight &&
  isVerified(rollout) === verified;

/** Healthy, with another version than `stable`. */
export const isPromoted =
  (stable: string) =>
  ({ status }: Rollout) =>
    status.phase === "Healthy" && status.stableRS !== stable && status.stableRS === status.currentPodHash;

/** A bed with one leader and two proxies of the Gateway. */
export interface Pair {
  readonly bed: Bed;
  readonly leader: Leader;
  readonly a: TestProxy;
  readonly b: TestProxy;
  /** Hash of version 1, which both serve. */
  readonly stable: string;
}

/** Starts them; `spec` is `controllerBed`'s. */
export async function twoProxies(t: Test, spec: Readonly<Record<string, unknown>> = {}): Promise<Pair> {
  const bed = await controllerBed(t, spec);
  const leader = await bed.lead();
  const a = bed.proxy([leader], "a");
  const b = bed.proxy([leader], "b");
  return { bed, leader, a, b, stable: await bed.ready(a, b) };
}

/** Asks for version 2 and waits until 20 % is in force in `a`; returns the Rollout as it stood when that was decided. */
export async function raised(bed: Bed, a: TestProxy): Promise<Rollout> {
  await bed.image("2");
  const waiting = await bed.untilRollout("20 % decided", isAt(0, 20, false));
  await bed.until("one has it in force", () => canaryWeight(a, waiting) === 20);
  return waiting;
}

/** A bed with one leader and two proxies of the Gateway, when `b` has stopped being heard: its stream stays open. */
export async function silenced(
  t: Test,
  leading: Parameters<Bed["lead"]>[0] = {},
): Promise<Pair & { readonly relay: Relay }> {
  const bed = await controllerBed(t);
  const leader = await bed.lead(leading);
  const relay = await createRelay(t, leader.xdsAddress);
  const a = bed.proxy([leader], "a");
  const b = bed.proxy([leader], "b", { addresses: [relay.address] });
  const stable = await bed.ready(a, b);
  relay.silence();
  return { bed, leader, a, b, stable, relay };
}
