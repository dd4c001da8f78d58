// Blue-green on weir's proxies: all the traffic of the active Service belongs to one version, that of the preview Service to the wanted
// one. A switch is a change of weights from 0 to 100, published and acknowledged as a canary's are. No field asks for it: a Rollout whose
// Services no proxy routes is notApplicable, and nothing waits.
import type { TrafficIntent, VersionWeight } from "../../api/api.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Context } from "../context.ts";
import { type InForce, silence } from "../traffic/inforce.ts";
import { withTargets } from "../traffic/targets.ts";

const ALL = 100;

/** What the proxies should do when `activeHash` has the traffic and `stableHash` is the stable version; undefined before any has. */
export function blueGreenIntent(
  context: Context,
  activeHash: string,
  stableHash: string,
): TrafficIntent | undefined {
  if (activeHash === "") return undefined;
  const { namespace, name, blueGreen } = context;
  return {
    namespace,
    rollout: name,
    stableService: blueGreen.activeService,
    canaryService: blueGreen.previewService ?? "",
    isBlueGreen: true,
    maxWeight: ALL,
    versions: versionsOf(context.podHash, activeHash, stableHash),
  };
}

/** The version beside the active one stays, at no weight, as long as it may get the traffic (back). */
function versionsOf(podHash: string, activeHash: string, stableHash: string): readonly VersionWeight[] {
  if (activeHash !== podHash)
    return [
      { podHash: activeHash, role: "stable", weight: ALL },
      { podHash, role: "canary", weight: 0 },
    ];
  if (stableHash === "" || stableHash === podHash) return [{ podHash, role: "stable", weight: ALL }];
  return [
    { podHash: stableHash, role: "stable", weight: 0 },
    { podHash, role: "canary", weight: ALL },
  ];
}

/** Whether every proxy sends the active Service's traffic to `activeHash`, and load balancers know its pods. */
export function blueGreenInForce(context: Context, activeHash: string): InForce {
  return withTargets(context, followed(context, activeHash), activeHash);
}

function followed(context: Context, activeHash: string): InForce {
  const { acknowledgement, published } = context.snapshot.traffic;
  const intent = blueGreenIntent(context, activeHash, context.status.stableRS ?? "");
  if (acknowledgement.kind === "notApplicable" || intent === undefined) return { kind: "notApplicable" };
  const waiting = (why: string): string => `the proxies have not acknowledged the switch: ${why}`;
  if (!jsonEqual(published, intent))
    return { kind: "no", words: waiting("it is not published yet"), isOverdue: false };
  return acknowledgement.kind === "no" ? silence(context, acknowledgement, waiting) : acknowledgement;
}
