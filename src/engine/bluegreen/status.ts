// What of the status only blue-green has, and what such a Rollout that calls itself healthy claims. Clients and autoscalers count the pods
// that have the traffic. Source: Argo: rollout/bluegreen.go syncRolloutStatusBlueGreen, utils/rollout/rolloututil.go, v1.9.
import { CONDITION_TYPES, PHASE_MESSAGES, type RolloutStatus, selectorText } from "../../api/api.ts";
import type { Context } from "../context.ts";
import { availableOf } from "../pods/replicaset.ts";
import type { Stage } from "../stage.ts";
import { refusals } from "../status/canarystatus.ts";
import { conditionOf } from "../status/conditions.ts";
import { clean } from "../status/status.ts";
import type { InForce } from "../traffic/inforce.ts";
import { ofVersion } from "./facts.ts";

export interface BlueGreenOutcome {
  readonly stage: Stage;
  readonly stableHash: string;
  /** What the Services select once the pass is done. */
  readonly activeHash: string;
  readonly previewHash: string;
}

/** The fields that a pass leaves behind. */
export function blueGreenStatus(context: Context, outcome: BlueGreenOutcome): Partial<RolloutStatus> {
  const { stage, activeHash, previewHash } = outcome;
  const blueGreen = clean({
    activeSelector: activeHash === "" ? undefined : activeHash,
    previewSelector: previewHash === "" ? undefined : previewHash,
    scaleUpPreviewCheckPoint: stage.isPreviewPassed ? true : undefined,
    prePromotionAnalysisRunStatus: stage.prePromotionRun,
    postPromotionAnalysisRunStatus: stage.postPromotionRun,
  });
  const active = ofVersion(context, activeHash);
  if (active === undefined) return { blueGreen };
  return {
    blueGreen,
    HPAReplicas: active.status.replicas ?? 0,
    readyReplicas: active.status.readyReplicas ?? 0,
    availableReplicas: availableOf(active),
    ...(active.spec.selector === undefined ? {} : { selector: selectorText(active.spec.selector) }),
  };
}

/** What is not yet as a healthy Rollout claims it to be; undefined when all is. */
export function unsettledBlueGreen(
  context: Context,
  outcome: BlueGreenOutcome,
  inForce: InForce,
): string | undefined {
  const { replicas, roles, podHash } = context;
  // Of these the phase has more to say, and that the version is the stable one is seen there.
  if (availableOf(roles.current) < replicas) return PHASE_MESSAGES.becomingAvailable;
  if (outcome.activeHash !== podHash) return PHASE_MESSAGES.cutoverPending;
  return silentProxies(context, inForce) === undefined
    ? undefined
    : `waiting for the proxies to acknowledge the switch${refusals(context)}`;
}

/** The proxies that keep a Rollout from being called healthy, by name; undefined when none does. */
export function silentProxies({ status }: Context, inForce: InForce): string | undefined {
  // A healthy Rollout stays so while the proxies forget the version that it came from.
  const isKnown = conditionOf(status.conditions, CONDITION_TYPES.healthy)?.status === "True";
  return inForce.kind === "no" && !isKnown ? inForce.words : undefined;
}
