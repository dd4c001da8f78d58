// Pods that load balancers have to know before a pass goes on: those of the version that the active Service was switched to, and, with router
// alb, those of a promoted one before older versions go. Source: Argo: rollout/service.go awsVerifyTargetGroups, v1.9; there the endpoints
// of the version before may still be what is verified.
import { MESSAGES, replicasOf, type Service } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { type Context, contextOf, isPromoted } from "../context.ts";
import { availableOf, deadlineMsOf } from "../pods/replicaset.ts";
import type { Snapshot } from "../snapshot.ts";
import type { InForce } from "./inforce.ts";
import { selectedBy } from "./services.ts";

/** What to ask load balancers about. */
export interface PodsInQuestion {
  readonly service: Service;
  readonly podHash: string;
  /** So many pods of it are available. */
  readonly available: number;
  /** Whether the answer is waited for now: otherwise nobody needs to be asked. */
  readonly isAwaited: boolean;
}

/** The pods that `snapshot.traffic.registrations` is to tell of, where anybody can be asked; undefined: of none. */
export function podsInQuestion(snapshot: Snapshot): PodsInQuestion | undefined {
  const { rollout, services } = snapshot;
  const { canary, blueGreen } = rollout.spec?.strategy ?? {};
  const isAlb = canary?.trafficRouting?.alb !== undefined;
  const service = blueGreen !== undefined ? services.active : isAlb ? services.stable : undefined;
  if (service === undefined) return undefined;
  // A context of its own: the answer becomes a part of the snapshot that the pass has its context from.
  const context = contextOf(snapshot, 0);
  const { podHash, roles } = context;
  const isAwaited = areTargetsAwaited(context, selectedBy(service));
  return { service, podHash, available: availableOf(roles.current), isAwaited };
}

/** Whether the pass waits for load balancers to know the wanted version's pods. `activeHash`: what blue-green's active Service selects. */
export function areTargetsAwaited(context: Context, activeHash: string): boolean {
  const { status, podHash, roles, strategy, canary } = context;
  if (strategy.kind === "blueGreen") {
    const isSwitched = (status.stableRS ?? "") !== "" && !isPromoted(context) && activeHash === podHash;
    // The analysis began when they were known.
    return isSwitched && status.blueGreen?.postPromotionAnalysisRunStatus === undefined;
  }
  // A delay that runs was begun when they were known.
  const isUp = roles.others.some((item) => replicasOf(item) > 0 && deadlineMsOf(item) === undefined);
  return canary.trafficRouting?.alb !== undefined && isPromoted(context) && isUp;
}

/** Which of the pods load balancers do not know, in words; undefined when they know all, or nobody can be asked. */
export function unregisteredWords({ snapshot }: Context): string | undefined {
  const words = (snapshot.traffic.registrations ?? []).flatMap(({ service, targetGroup, state }) => {
    switch (state.kind) {
      case "seen":
        return state.registered >= state.total
          ? []
          : [MESSAGES.groupLacksPods(service, targetGroup, state.registered, state.total)];
      case "unknown":
        return [`Service ${service} (TargetGroup ${targetGroup}): its load balancer has not answered yet`];
      case "failed":
        return [MESSAGES.groupVerifyError(service, targetGroup, state.why)];
      default:
        return assertNever(state);
    }
  });
  return words.length === 0 ? undefined : words.join("; ");
}

/** What is in force once load balancers are heard as well. */
export function withTargets(context: Context, inForce: InForce, activeHash: string): InForce {
  const words = areTargetsAwaited(context, activeHash) ? unregisteredWords(context) : undefined;
  if (words === undefined) return inForce;
  return {
    kind: "no",
    words: inForce.kind === "no" ? `${inForce.words}; ${words}` : words,
    isOverdue: false,
  };
}
