// The versions of a Rollout as clusters, one each per port of its Services, and the share that each gets. Pure.
import { rootServiceOf, type TrafficIntent, type VersionWeight } from "../api/api.ts";
import { experimentPort } from "./experimentport.ts";
import type { Destination, TranslateInput } from "./input.ts";

/** A cluster to be made. */
export interface ClusterPlan {
  readonly name: string;
  /** Its endpoints are theirs. */
  readonly destinations: readonly Destination[];
  /** Only those whose pods carry it. */
  readonly podHash?: string;
  readonly isMirror?: boolean;
  /** While no Service selects its pods it keeps the endpoints that it had, as long as these pods are there. */
  readonly isLasting?: boolean;
}

/** A cluster that a destination leads to. */
export interface Target {
  readonly cluster: string;
  readonly role: VersionWeight["role"];
  /** Parts of `scale`. */
  readonly weight: number;
}

/** A version and its cluster. */
export interface Version extends VersionWeight {
  readonly plan: ClusterPlan;
}

/** The versions of an intent at one port of its Services. */
export function versionsOf(input: TranslateInput, intent: TrafficIntent, port: number): Version[] {
  const at = (service: string): Destination => ({ namespace: intent.namespace, service, port });
  const root = at(rootServiceOf(intent));
  const destinations = [at(intent.stableService), at(intent.canaryService)];
  const isLasting = intent.isBlueGreen === true;
  return intent.versions.map((version) => {
    const { podHash, service } = version;
    if (service === undefined)
      return {
        ...version,
        plan: { name: `${clusterName(root)}/${podHash}`, podHash, destinations, isLasting },
      };
    const own = { ...at(service), port: experimentPort(input, root, service) };
    return { ...version, plan: { name: `${clusterName(own)}/${podHash}`, podHash, destinations: [own] } };
  });
}

/**
 * The one version that a Service of a Rollout stands for, where it is to be one: with blue-green the active Service for what has the weight,
 * the preview for the newest.
 */
export function versionBehind(
  intent: TrafficIntent,
  versions: readonly Version[],
  service: string,
): Version | undefined {
  const isStable = service === intent.stableService;
  if (intent.isBlueGreen === true && isStable) return versions.find(({ weight }) => weight > 0);
  const named = versions.find(({ role }) => role === (isStable ? "stable" : "canary"));
  return intent.isBlueGreen === true ? (named ?? versions[0]) : named;
}

/** The targets of a split; the weights of empty versions go to a stable version that has endpoints. */
export function targetsOf(
  versions: readonly Version[],
  isEmpty: (version: Version) => boolean,
): { readonly targets: Target[]; readonly lacking: readonly Version[] } {
  const stable = versions.find(({ role }) => role === "stable");
  const canHandOver = stable !== undefined && !isEmpty(stable);
  const isLacking = (version: Version): boolean =>
    canHandOver && version !== stable && version.weight > 0 && isEmpty(version);
  const lacking = versions.filter(isLacking);
  const handedOver = lacking.reduce((sum, { weight }) => sum + weight, 0);
  const targets = versions.map((version) => ({
    cluster: version.plan.name,
    role: version.role,
    weight: isLacking(version) ? 0 : version.weight + (version === stable ? handedOver : 0),
  }));
  return { targets, lacking };
}

/** The pod-template hash of the version that an update is about. */
export function newestOf({ versions }: TrafficIntent): string {
  const newest = versions.find(({ role }) => role === "canary") ?? versions[0];
  return newest?.podHash ?? "";
}

/** The cluster of a Service that no Rollout manages. */
export function clusterName({ namespace, service, port }: Destination): string {
  return `${namespace}/${service}:${port}`;
}
