// Which versions the preview and the active Service select. The preview follows the wanted version at once; the active one waits for pods,
// pause and analysis, and goes back to stable on an abort. Source: Argo: rollout/service.go reconcileActiveService, v1.9.
import { MANAGED_BY_ANNOTATION, type Service } from "../../api/api.ts";
import { type Context, isPromoted } from "../context.ts";
import type { Action, PlannedEvent, Wait } from "../plan.ts";
import { availableOf } from "../pods/replicaset.ts";
import { isHalted, type Stage } from "../stage.ts";
import { selectedBy, selectVersion } from "../traffic/services.ts";
import { type BlueGreenFacts, ofVersion } from "./facts.ts";

export interface SwitchPlan {
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  /** The version that the Service selects once the actions are done; empty when it selects none in particular. */
  readonly selected: string;
}

/** The preview Service, where there is one. */
export function planPreview(context: Context, stage: Stage): SwitchPlan {
  const { preview } = context.snapshot.services;
  if (isHalted(context, stage)) return kept(preview);
  return switched(context, preview, context.podHash);
}

/** The active Service. `mayPass`: neither pause nor analysis has anything against the switch. */
export function planActive(
  context: Context,
  stage: Stage,
  facts: BlueGreenFacts,
  mayPass: boolean,
): SwitchPlan {
  const { active } = context.snapshot.services;
  if (stage.isAborted) return switchedBack(context, active, facts.activeHash);
  if (facts.activeHash === context.podHash) return switched(context, active, context.podHash);
  if (isHalted(context, stage)) return kept(active);
  // The user has given up the version that has the traffic. Argo leaves it there until all of stable's pods are available.
  if (isPromoted(context) && facts.activeHash !== "") return switchedBack(context, active, facts.activeHash);
  if (!facts.isReady) return kept(active, [podsWait(context, facts)]);
  if (!facts.isSaturated) return kept(active);
  return mayPass ? switched(context, active, context.podHash) : kept(active);
}

/** The way back waits for nothing but a pod: weir, unlike Argo, does not ask how the version that is left is. */
function switchedBack(context: Context, active: Service | undefined, activeHash: string): SwitchPlan {
  const stableHash = context.status.stableRS ?? "";
  if (stableHash === "" || stableHash === activeHash) return kept(active);
  if (context.replicas > 0 && availableOf(ofVersion(context, stableHash)) === 0) {
    const text = `version ${stableHash} has no pod for the active Service to go back to`;
    return kept(active, [{ code: "replicas", text }]);
  }
  return switched(context, active, stableHash);
}

/** That nobody answers behind the active Service: somebody has deleted the version's ReplicaSet. */
export function unansweredWaits(context: Context, activeHash: string): readonly Wait[] {
  if (activeHash === "" || ofVersion(context, activeHash) !== undefined) return [];
  const text = `the active Service selects version ${activeHash}, which has no ReplicaSet: nobody answers`;
  return [{ code: "replicas", text }];
}

function switched(context: Context, service: Service | undefined, podHash: string): SwitchPlan {
  const isManaged = service?.metadata.annotations?.[MANAGED_BY_ANNOTATION] === context.name;
  if (service === undefined || (selectedBy(service) === podHash && isManaged)) return kept(service);
  return { ...selectVersion(context, service, podHash), waits: [], selected: podHash };
}

function kept(service: Service | undefined, waits: readonly Wait[] = []): SwitchPlan {
  return { actions: [], events: [], waits, selected: selectedBy(service) };
}

function podsWait(context: Context, { size }: BlueGreenFacts): Wait {
  const available = availableOf(context.roles.current);
  return { code: "replicas", text: `the new version has ${available} of ${size} pods available` };
}
