// Destinations become clusters: one per version of a Service that a Rollout manages, `<namespace>/<service>:<port>/<podHash>`, and one for
// any other Service, `<namespace>/<service>:<port>`. A version's endpoints are those of the stable and the canary Service whose pods carry its
// hash, so that a promotion, which repoints Services, moves no endpoint. A canary that has no endpoint at all (its Service was deleted, its slices
// are not written yet) hands its share to the stable version; the other way round nothing is handed over: more than its weight no canary gets.
// The versions of an experiment are treated as canaries are, each with a Service of its own.
import {
  type EndpointSlice,
  rootServiceOf,
  type Service,
  type TrafficIntent,
  type VersionWeight,
} from "../api/api.ts";
import {
  ApiVersion,
  type Cluster,
  Cluster_DiscoveryType,
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  create,
} from "../xds/types.ts";
import { experimentPort } from "./experimentport.ts";
import type { Destination, Report, TranslateInput } from "./input.ts";
import { type Managed, managedOf } from "./managed.ts";
import { type Memo, textOf } from "./memo.ts";
import { type Applied, NO_POLICY, type PolicyBook } from "./policies.ts";
import { type ClusterInit, clusterPart } from "./upstreams.ts";

/** A cluster that a destination leads to. */
export interface Target {
  readonly cluster: string;
  readonly role: VersionWeight["role"];
  /** Parts of `scale`. */
  readonly weight: number;
}

/** Where requests for a destination go. The weights add up to `scale`. */
export interface Split {
  readonly targets: readonly Target[];
  readonly scale: number;
  /** Whose Service was named, where a Rollout has two. */
  readonly role?: "stable" | "canary";
  /** Key of the Rollout whose intent this is. */
  readonly rollout?: string;
  /** What sticky keys are hashed with: the Rollout and its newest version, so that not every update meets the same clients first. */
  readonly salt?: string;
}

/** Shares of other versions that stable serves. */
export interface Withheld {
  readonly why: string;
  /** The clusters without an endpoint. No route leads to them any more, but until every proxy knows, some may: they keep their last endpoints. */
  readonly clusters: readonly string[];
}

interface ClusterPlan {
  readonly name: string;
  readonly destinations: readonly Destination[];
  readonly podHash?: string;
  readonly isMirror?: boolean;
}

/** Resolves destinations and remembers every cluster that they need. One per translation. */
export interface ClusterBook {
  split(destination: Destination): Split;
  /** What of a destination is not there, in words; undefined when it is all there. */
  lackOf(destination: Destination): string | undefined;
  /** The managed routes of the Rollout whose Service it is; undefined where no Rollout manages it. */
  managed(destination: Destination): Managed | undefined;
  /** The cluster for copies to a Service: one of its own, so that a slow mirror takes nothing from requests to the same pods. */
  mirror(destination: Destination): string;
  /** The same for copies to the canary of the Rollout whose Service it is; undefined where there is none. */
  canaryMirror(destination: Destination): string | undefined;
  clusters(): Cluster[];
  endpoints(): ClusterLoadAssignment[];
  /** From now on splits are asked for by this route configuration. */
  begin(route: string): void;
  /** Keys of the Rollouts whose splits were asked for, each with the route configurations that did. */
  rollouts(): ReadonlyMap<string, readonly string[]>;
  /** The Rollouts of which a version gets nothing for want of an endpoint, by key. */
  withheld(): ReadonlyMap<string, Withheld>;
}

/** Makes an empty book over the objects of `input`; `intents` are those that apply to its Gateway. */
export function createClusterBook(
  input: TranslateInput,
  intents: readonly TrafficIntent[],
  policies: PolicyBook,
  memo: Memo,
  report: Report,
): ClusterBook {
  const plans = new Map<string, ClusterPlan>();
  const rollouts = new Map<string, string[]>();
  const withheld = new Map<string, Withheld>();
  const assignments = new Map<string, ClusterLoadAssignment>();
  let route = "";
  const assignment = (plan: ClusterPlan): ClusterLoadAssignment => {
    const known = assignments.get(plan.name) ?? assignmentOf(input, plan, memo);
    assignments.set(plan.name, known);
    return known;
  };
  const byService = new Map<string, TrafficIntent>();
  for (const intent of intents) {
    byService.set(`${intent.namespace}/${intent.stableService}`, intent);
    byService.set(`${intent.namespace}/${intent.canaryService}`, intent);
  }
  const intentFor = ({ namespace, service }: Destination): TrafficIntent | undefined =>
    byService.get(`${namespace}/${service}`);
  const isEmpty = (version: Version): boolean => assignment(version.plan).endpoints.length === 0;
  const withhold = (rollout: string, { plan, podHash }: Version): void => {
    const clusters = [...(withheld.get(rollout)?.clusters ?? []), plan.name];
    withheld.set(rollout, { why: `version ${podHash} has no endpoint in any Service`, clusters });
  };
  const mirrorOf = (plan: ClusterPlan): string => {
    const name = `${plan.name}/mirror`;
    plans.set(name, { ...plan, name, isMirror: true });
    return name;
  };
  const sorted = (): ClusterPlan[] => [...plans.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    split(destination) {
      const intent = intentFor(destination);
      if (intent === undefined) {
        const name = clusterName(destination);
        plans.set(name, { name, destinations: [destination] });
        return { targets: [{ cluster: name, role: "stable", weight: 1 }], scale: 1 };
      }
      const rollout = `${intent.namespace}/${intent.rollout}`;
      const routes = rollouts.get(rollout) ?? [];
      if (!routes.includes(route)) rollouts.set(rollout, [...routes, route]);
      const versions = versionPlans(input, intent, destination.port);
      for (const { plan } of versions) plans.set(plan.name, plan);
      const { targets, lacking } = withoutEmpty(versions, isEmpty);
      for (const version of lacking) withhold(rollout, version);
      const role = destination.service === intent.canaryService ? "canary" : "stable";
      return { targets, scale: intent.maxWeight, role, rollout, salt: `${rollout}/${newestOf(intent)}` };
    },
    lackOf({ namespace, service, port }) {
      const object = input.service(namespace, service);
      if (object === undefined) return `Service ${service} does not exist`;
      const hasPort = object.spec?.ports?.some((candidate) => candidate.port === port) ?? false;
      return hasPort ? undefined : `Service ${service} has no port ${port}`;
    },
    managed(destination) {
      const intent = intentFor(destination);
      if (intent === undefined) return undefined;
      const versions = versionPlans(input, intent, destination.port);
      const canary = versions.find(({ role }) => role === "canary");
      const isLacking = canary !== undefined && isEmpty(canary) && versions.some((other) => !isEmpty(other));
      const hasHeaderRoute = intent.routes?.some(({ kind }) => kind === "header") === true;
      if (isLacking && hasHeaderRoute) withhold(`${intent.namespace}/${intent.rollout}`, canary);
      return managedOf(intent, !isLacking);
    },
    mirror(destination) {
      const intent = intentFor(destination);
      const role = intent?.stableService === destination.service ? "stable" : "canary";
      const version = intent && planOf(input, intent, destination.port, role);
      return mirrorOf(version ?? { name: clusterName(destination), destinations: [destination] });
    },
    canaryMirror(destination) {
      const intent = intentFor(destination);
      const plan = intent && planOf(input, intent, destination.port, "canary");
      return plan && mirrorOf(plan);
    },
    clusters: () => sorted().map((plan) => clusterOf(plan, policyOf(input, plan, policies), memo, report)),
    endpoints: () => sorted().map(assignment),
    begin(name) {
      route = name;
    },
    rollouts: () => rollouts,
    withheld: () => withheld,
  };
}

interface Version extends VersionWeight {
  readonly plan: ClusterPlan;
}

function versionPlans(input: TranslateInput, intent: TrafficIntent, port: number): Version[] {
  const at = (service: string): Destination => ({ namespace: intent.namespace, service, port });
  const root = at(rootServiceOf(intent));
  const destinations = [at(intent.stableService), at(intent.canaryService)];
  return intent.versions.map((version) => {
    const { podHash, service } = version;
    if (service === undefined)
      return { ...version, plan: { name: `${clusterName(root)}/${podHash}`, podHash, destinations } };
    const own = { ...at(service), port: experimentPort(input, root, service) };
    return { ...version, plan: { name: `${clusterName(own)}/${podHash}`, podHash, destinations: [own] } };
  });
}

function planOf(
  input: TranslateInput,
  intent: TrafficIntent,
  port: number,
  role: Version["role"],
): ClusterPlan | undefined {
  return versionPlans(input, intent, port).find((version) => version.role === role)?.plan;
}

/** The targets of a split; the weights of empty versions go to a stable version that has endpoints. */
function withoutEmpty(
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

function newestOf({ versions }: TrafficIntent): string {
  const newest = versions.find(({ role }) => role === "canary") ?? versions[0];
  return newest?.podHash ?? "";
}

function clusterName({ namespace, service, port }: Destination): string {
  return `${namespace}/${service}:${port}`;
}

/** What TrafficPolicies ask of a cluster: those of its first Service (the stable one) that has any. */
function policyOf(input: TranslateInput, { destinations }: ClusterPlan, policies: PolicyBook): Applied {
  const applied = destinations.map(({ namespace, service, port }) => {
    const ports = input.service(namespace, service)?.spec?.ports;
    const name = ports?.find((candidate) => candidate.port === port)?.name;
    return policies.service(namespace, service, name);
  });
  return applied.find(({ sections }) => Object.keys(sections).length > 0) ?? NO_POLICY;
}

function clusterOf(plan: ClusterPlan, applied: Applied, memo: Memo, report: Report): Cluster {
  const part = clusterPart(applied, plan.isMirror ?? false, report);
  return memo.clusters.keep(plan.name, [textOf(part)], () => clusterMessage(plan.name, part));
}

function clusterMessage(name: string, part: ClusterInit): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: {
      edsConfig: {
        configSourceSpecifier: { case: "ads", value: {} },
        resourceApiVersion: ApiVersion.V3,
      },
    },
    ...part,
    lrsServer: { configSourceSpecifier: { case: "self", value: {} }, resourceApiVersion: ApiVersion.V3 },
  });
}

function assignmentOf(input: TranslateInput, plan: ClusterPlan, memo: Memo): ClusterLoadAssignment {
  const addresses = new Map<string, { address: string; port: number }>();
  for (const destination of plan.destinations) {
    const service = input.service(destination.namespace, destination.service);
    if (service === undefined) continue;
    for (const slice of input.slices(destination.namespace, destination.service)) {
      const port = slicePort(service, destination.port, slice);
      if (port === undefined) continue;
      for (const address of readyAddresses(input, slice, destination.namespace, plan.podHash)) {
        addresses.set(`${address}:${port}`, { address, port });
      }
    }
  }
  const { name } = plan;
  const keys = [...addresses.keys()].sort();
  return memo.endpoints.keep(name, keys, () => {
    const sorted = keys.flatMap((key) => addresses.get(key) ?? []);
    const endpoints = sorted.length === 0 ? [] : [localityOf(sorted)];
    return create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints });
  });
}

function localityOf(endpoints: readonly { readonly address: string; readonly port: number }[]) {
  return {
    locality: {},
    loadBalancingWeight: 1,
    lbEndpoints: endpoints.map(({ address, port }) => ({
      hostIdentifier: {
        case: "endpoint" as const,
        value: {
          address: {
            address: {
              case: "socketAddress" as const,
              value: { address, portSpecifier: { case: "portValue" as const, value: port } },
            },
          },
        },
      },
    })),
  };
}

/** The port of a slice that stands for a Service port: they share the name (empty for the only one). */
function slicePort(service: Service, port: number, slice: EndpointSlice): number | undefined {
  const servicePort = service.spec?.ports?.find((candidate) => candidate.port === port);
  if (servicePort === undefined) return undefined;
  return slice.ports?.find((candidate) => (candidate.name ?? "") === (servicePort.name ?? ""))?.port;
}

function readyAddresses(
  input: TranslateInput,
  slice: EndpointSlice,
  namespace: string,
  podHash: string | undefined,
): string[] {
  const chosen = (slice.endpoints ?? []).filter((endpoint) => {
    if (endpoint.conditions?.ready === false) return false;
    if (podHash === undefined) return true;
    const pod = endpoint.targetRef?.kind === "Pod" ? endpoint.targetRef.name : undefined;
    return pod !== undefined && input.podHash(namespace, pod) === podHash;
  });
  return chosen.flatMap((endpoint) => endpoint.addresses.slice(0, 1));
}
