// Destinations become clusters: one per version of a Service that a Rollout manages, `<namespace>/<service>:<port>/<podHash>`, and one for
// any other Service, `<namespace>/<service>:<port>`. A version's endpoints are those of the stable and the canary Service whose pods carry its
// hash, so that a promotion, which repoints Services, moves no endpoint. A canary that has no endpoint at all (its Service was deleted, its slices
// are not written yet) hands its share to the stable version; the other way round nothing is handed over: more than its weight no canary gets.
// The versions of an experiment are treated as canaries are, each with a Service of its own.
import type { EndpointSlice, Service, TrafficIntent } from "../api/api.ts";
import { isIpAddress } from "../lib/ip.ts";
import {
  ApiVersion,
  type Cluster,
  Cluster_DiscoveryType,
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  create,
} from "../xds/types.ts";
import type { Destination, Report, TranslateInput } from "./input.ts";
import { type Managed, managedOf } from "./managed.ts";
import { type Memo, type PodEndpoint, textOf } from "./memo.ts";
import { ownPods } from "./ownpods.ts";
import { type Applied, NO_POLICY, type PolicyBook } from "./policies.ts";
import { type ClusterInit, clusterPart } from "./upstreams.ts";
import {
  type ClusterPlan,
  clusterName,
  newestOf,
  type Target,
  targetsOf,
  type Version,
  versionBehind,
  versionsOf,
} from "./versions.ts";

const MAX_PORT = 65_535;

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
  return new Book(input, intents, policies, memo, report);
}

class Book implements ClusterBook {
  readonly #input: TranslateInput;
  readonly #policies: PolicyBook;
  readonly #memo: Memo;
  readonly #report: Report;
  readonly #byService = new Map<string, TrafficIntent>();
  readonly #plans = new Map<string, ClusterPlan>();
  readonly #rollouts = new Map<string, string[]>();
  readonly #withheld = new Map<string, Withheld>();
  readonly #assignments = new Map<string, ClusterLoadAssignment>();
  #route = "";

  constructor(
    input: TranslateInput,
    intents: readonly TrafficIntent[],
    policies: PolicyBook,
    memo: Memo,
    report: Report,
  ) {
    this.#input = input;
    this.#policies = policies;
    this.#memo = memo;
    this.#report = report;
    for (const intent of intents)
      for (const service of [intent.stableService, intent.canaryService])
        this.#byService.set(`${intent.namespace}/${service}`, intent);
  }

  begin(route: string): void {
    this.#route = route;
  }

  split(destination: Destination): Split {
    const intent = this.#intentFor(destination);
    if (intent === undefined) {
      const name = clusterName(destination);
      this.#plans.set(name, { name, destinations: [destination] });
      return { targets: [{ cluster: name, role: "stable", weight: 1 }], scale: 1 };
    }
    const rollout = keyOf(intent);
    const routes = this.#rollouts.get(rollout) ?? [];
    if (!routes.includes(this.#route)) this.#rollouts.set(rollout, [...routes, this.#route]);
    const versions = versionsOf(this.#input, intent, destination.port);
    for (const { plan } of versions) this.#plans.set(plan.name, plan);
    const preview = isPreview(intent, destination)
      ? versionBehind(intent, versions, destination.service)
      : undefined;
    if (preview !== undefined)
      return { targets: [{ cluster: preview.plan.name, role: preview.role, weight: 1 }], scale: 1, rollout };
    const { targets, lacking } = targetsOf(versions, (version) => this.#isEmpty(version));
    for (const version of lacking) this.#withhold(rollout, version);
    const role = destination.service === intent.canaryService ? "canary" : "stable";
    return { targets, scale: intent.maxWeight, role, rollout, salt: `${rollout}/${newestOf(intent)}` };
  }

  lackOf({ namespace, service, port }: Destination): string | undefined {
    const object = this.#input.service(namespace, service);
    if (object === undefined) return `Service ${service} does not exist`;
    const hasPort = object.spec?.ports?.some((candidate) => candidate.port === port) ?? false;
    return hasPort ? undefined : `Service ${service} has no port ${port}`;
  }

  managed(destination: Destination): Managed | undefined {
    const intent = this.#intentFor(destination);
    if (intent?.routes === undefined) return intent && managedOf(intent, true);
    const versions = versionsOf(this.#input, intent, destination.port);
    const canary = versions.find(({ role }) => role === "canary");
    const canServe =
      canary === undefined || !this.#isEmpty(canary) || versions.every((version) => this.#isEmpty(version));
    const hasHeaderRoute = intent.routes.some(({ kind }) => kind === "header");
    if (!canServe && hasHeaderRoute) this.#withhold(keyOf(intent), canary);
    return managedOf(intent, canServe);
  }

  mirror(destination: Destination): string {
    const intent = this.#intentFor(destination);
    const versions = intent && versionsOf(this.#input, intent, destination.port);
    const plan = intent && versions && versionBehind(intent, versions, destination.service)?.plan;
    return this.#mirrorOf(plan ?? { name: clusterName(destination), destinations: [destination] });
  }

  canaryMirror(destination: Destination): string | undefined {
    const intent = this.#intentFor(destination);
    const versions = intent && versionsOf(this.#input, intent, destination.port);
    const plan = versions?.find(({ role }) => role === "canary")?.plan;
    return plan && this.#mirrorOf(plan);
  }

  clusters(): Cluster[] {
    const applied = (plan: ClusterPlan): Applied => policyOf(this.#input, plan, this.#policies);
    return this.#sorted().map((plan) => clusterOf(plan, applied(plan), this.#memo, this.#report));
  }

  endpoints(): ClusterLoadAssignment[] {
    return this.#sorted().map((plan) => this.#assignment(plan));
  }

  rollouts(): ReadonlyMap<string, readonly string[]> {
    return this.#rollouts;
  }

  withheld(): ReadonlyMap<string, Withheld> {
    return this.#withheld;
  }

  #intentFor({ namespace, service }: Destination): TrafficIntent | undefined {
    return this.#byService.get(`${namespace}/${service}`);
  }

  #mirrorOf(plan: ClusterPlan): string {
    const name = `${plan.name}/mirror`;
    this.#plans.set(name, { ...plan, name, isMirror: true });
    return name;
  }

  #withhold(rollout: string, { plan, podHash }: Version): void {
    const clusters = [...(this.#withheld.get(rollout)?.clusters ?? []), plan.name];
    this.#withheld.set(rollout, { why: `version ${podHash} has no endpoint in any Service`, clusters });
  }

  #isEmpty({ plan }: Version): boolean {
    return this.#assignment(plan).endpoints.length === 0;
  }

  #assignment(plan: ClusterPlan): ClusterLoadAssignment {
    const known = this.#assignments.get(plan.name) ?? assignmentOf(this.#input, plan, this.#memo);
    this.#assignments.set(plan.name, known);
    return known;
  }

  #sorted(): ClusterPlan[] {
    return [...this.#plans.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** Whether it is the Service at which a blue-green version is looked at before it has the traffic. */
function isPreview({ isBlueGreen, canaryService }: TrafficIntent, { service }: Destination): boolean {
  return isBlueGreen === true && service === canaryService;
}

function keyOf({ namespace, rollout }: TrafficIntent): string {
  return `${namespace}/${rollout}`;
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

/**
 * The ready endpoints of a cluster. Make before break: a Service that is switched leaves its old version without any, before or after the
 * proxies are told to go elsewhere; a lasting one keeps those that it had, as far as their pods are there.
 */
function assignmentOf(input: TranslateInput, plan: ClusterPlan, memo: Memo): ClusterLoadAssignment {
  const seen = endpointsOf(input, plan);
  const found = plan.isLasting === true && seen.length === 0 ? lastOf(input, plan, memo) : seen;
  if (plan.isLasting === true) memo.pods.keep(plan.name, [textOf(found)], () => found);
  const addresses = new Map(found.map((endpoint) => [`${endpoint.address}:${endpoint.port}`, endpoint]));
  const { name } = plan;
  const keys = [...addresses.keys()].sort();
  return memo.endpoints.keep(name, keys, () => {
    const sorted = keys.flatMap((key) => addresses.get(key) ?? []);
    const endpoints = sorted.length === 0 ? [] : [localityOf(sorted)];
    return create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints });
  });
}

/** Those that were seen last, or, by a leader who has seen none, the pods themselves. */
function lastOf(input: TranslateInput, plan: ClusterPlan, memo: Memo): PodEndpoint[] {
  const { name, podHash, destinations } = plan;
  const namespace = destinations[0]?.namespace ?? "";
  const last = (memo.pods.last(name) ?? []).filter(({ pod }) => input.podHash(namespace, pod) === podHash);
  return last.length > 0 ? last : ownPods(input, plan);
}

function endpointsOf(input: TranslateInput, plan: ClusterPlan): PodEndpoint[] {
  const found: PodEndpoint[] = [];
  for (const destination of plan.destinations) {
    const service = input.service(destination.namespace, destination.service);
    if (service === undefined) continue;
    for (const slice of input.slices(destination.namespace, destination.service)) {
      const port = slicePort(service, destination.port, slice);
      if (port === undefined) continue;
      for (const ready of readyAddresses(input, slice, destination.namespace, plan.podHash))
        found.push({ ...ready, port });
    }
  }
  return found;
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
  const found = slice.ports?.find((candidate) => (candidate.name ?? "") === (servicePort.name ?? ""))?.port;
  return found !== undefined && found >= 1 && found <= MAX_PORT ? found : undefined;
}

function readyAddresses(
  input: TranslateInput,
  slice: EndpointSlice,
  namespace: string,
  podHash: string | undefined,
): Pick<PodEndpoint, "address" | "pod">[] {
  // Names are for those who look them up; as in kube-proxy, no request is sent to them.
  if (slice.addressType === "FQDN") return [];
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, targetRef }) => {
    const pod = targetRef?.kind === "Pod" ? targetRef.name : undefined;
    const isOther = podHash !== undefined && (pod === undefined || input.podHash(namespace, pod) !== podHash);
    if (conditions?.ready === false || isOther) return [];
    return addresses
      .slice(0, 1)
      .flatMap((address) => (isIpAddress(address) ? [{ address, pod: pod ?? "" }] : []));
  });
}
