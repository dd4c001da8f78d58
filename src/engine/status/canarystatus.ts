// What of the status only a canary has, and what a canary that calls itself healthy claims.
import { PHASE_MESSAGES, pingPongAfter, type RolloutStatus, type TrafficWeights } from "../../api/api.ts";
import type { Context } from "../context.ts";
import { availableOf } from "../pods/replicaset.ts";
import type { Stage } from "../stage.ts";
import { intentOf } from "../traffic/intent.ts";
import { routerStatus, unheldWords } from "../traffic/otherrouters.ts";
import { clean } from "./status.ts";

/** The fields that a pass leaves behind. */
export function canaryStatus(
  context: Context,
  pass: {
    readonly stage: Stage;
    readonly stableHash: string;
    readonly weights: TrafficWeights | undefined;
  },
): Partial<RolloutStatus> {
  const { stage, stableHash, weights } = pass;
  const { canary } = context.status;
  const isPromotion = stableHash !== (context.status.stableRS ?? "");
  return {
    ...routerStatus(context),
    canary: clean({
      ...canary,
      ...(isPromotion && context.canary.pingPong !== undefined
        ? { stablePingPong: pingPongAfter(canary?.stablePingPong) }
        : {}),
      currentStepAnalysisRunStatus: stage.stepRun,
      currentBackgroundAnalysisRunStatus: stage.backgroundRun,
      currentExperiment: stage.experiment,
      weights,
      stepPluginStatuses: stage.plugins.length === 0 ? undefined : stage.plugins,
    }),
  };
}

/** What is not yet as a healthy Rollout claims it to be; undefined when all is. */
export function unsettledCanary(
  context: Context,
  pass: {
    readonly stableHash: string;
    readonly weights: TrafficWeights | undefined;
    readonly areServicesSettled: boolean;
  },
): string | undefined {
  const { replicas, roles, hasRouter, podHash } = context;
  const updated = roles.current?.status.replicas ?? 0;
  const all = roles.owned.reduce((total, replicaSet) => total + (replicaSet.status.replicas ?? 0), 0);
  if (updated < replicas) return PHASE_MESSAGES.moreReplicas;
  if (availableOf(roles.current) < replicas) return PHASE_MESSAGES.becomingAvailable;
  if (!hasRouter && all > updated) return PHASE_MESSAGES.oldReplicas;
  if (pass.stableHash !== podHash) return PHASE_MESSAGES.waitingForSteps;
  if (!pass.areServicesSettled) return "waiting for the Services to be switched";
  if (pass.weights?.verified === false)
    return `waiting for the proxies to acknowledge the weights${refusals(context)}`;
  const unheld =
    pass.weights === undefined ? undefined : unheldWords(context, intentOf(context, pass.weights, []));
  return unheld === undefined ? undefined : `waiting for the routers to hold the weights: ${unheld}`;
}

/** What proxies have refused, which only the user can mend, to be added to a message. */
export function refusals({ snapshot }: Context): string {
  const { acknowledgement } = snapshot.traffic;
  if (acknowledgement.kind !== "no") return "";
  const refused = acknowledgement.nodes.filter(({ hasRefused }) => hasRefused === true);
  return refused.map(({ node, why }) => `; ${node} ${why}`).join("");
}
