// The controller's view of the cluster: one watched cache a kind, read through the kind's schema once per object.
// A kind that the server does not know (its CRD is not installed) counts as empty, and is asked for again from time to time; so does one that
// only some Rollouts need and that may not be read.
import {
  type AnalysisRun,
  type AnalysisTemplate,
  type ClusterAnalysisTemplate,
  type EndpointSlice,
  type Experiment,
  type Gateway,
  type HttpRoute,
  type KubeObject,
  type Pod,
  RESOURCES,
  type ReplicaSet,
  type ResourceType,
  type Rollout,
  readAnalysisRun,
  readAnalysisTemplate,
  readClusterAnalysisTemplate,
  readEndpointSlice,
  readExperiment,
  readGateway,
  readHttpRoute,
  readPod,
  readReplicaSet,
  readRollout,
  readService,
  readTargetGroupBinding,
  readTrafficPolicy,
  type Service,
  type TargetGroupBinding,
  type TrafficPolicy,
} from "../api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createReflector,
  type ObjectStore,
  type StoreListener,
} from "../cluster/client.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { oncePerObject } from "../lib/once.ts";
import { ROUTER_TYPES } from "../routers/routers.ts";
import { createWorkloads, type Workloads } from "./workloads.ts";

/** How often a kind that the server does not know is asked for again. */
const PROBE_MS = 30_000;
/** How often the server is asked again while it does not answer at all. */
const RETRY_MS = 1_000;

/** A cache of one kind, typed. */
export interface View<T> {
  readonly type: ResourceType;
  readonly store: ObjectStore;
  get(namespace: string, name: string): T | undefined;
  list(namespace?: string): readonly T[];
  byOwner(uid: string): readonly T[];
  /** The typed view of an object of this cache; values that do not decode are left out of it. */
  read(object: KubeObject): T;
  /** Whether the server knows the kind and lets it be read. */
  isServed(): boolean;
  subscribe(listener: StoreListener): () => void;
}

export interface Caches {
  readonly rollouts: View<Rollout>;
  readonly replicaSets: View<ReplicaSet>;
  readonly analysisRuns: View<AnalysisRun>;
  readonly analysisTemplates: View<AnalysisTemplate>;
  readonly clusterAnalysisTemplates: View<ClusterAnalysisTemplate>;
  readonly experiments: View<Experiment>;
  readonly services: View<Service>;
  readonly pods: View<Pod>;
  readonly endpointSlices: View<EndpointSlice>;
  readonly gateways: View<Gateway>;
  readonly httpRoutes: View<HttpRoute>;
  readonly trafficPolicies: View<TrafficPolicy>;
  /** What `spec.workloadRef` names, watched on demand. */
  readonly workloads: Workloads;
  /** The kinds that routers beside weir's own work with. */
  readonly routed: readonly View<KubeObject>[];
  /** Absent where no load balancer is asked. */
  readonly targetGroupBindings?: View<TargetGroupBinding>;
  /** Resolves true when every cache holds its first list, false when `signal` aborts before. */
  waitForSync(signal: AbortSignal): Promise<boolean>;
  start(): void;
  stop(): Promise<void>;
}

export interface CachesDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Watch one namespace only. */
  readonly namespace?: string;
  /** The kind of which the AWS load balancer controller writes down target groups. Absent: not watched. */
  readonly targetGroupBindings?: ResourceType;
}

/** What keeps a cache up to date. */
export interface Watched {
  start(): void;
  waitForSync(signal: AbortSignal): Promise<boolean>;
  stop(): Promise<void>;
}

/** Makes the caches; nothing is asked of the server before `start`. */
export function createCaches(deps: CachesDeps): Caches {
  const watched: Watched[] = [];
  const view = <T>(
    type: ResourceType,
    read: (object: KubeObject) => { readonly value: T },
    isOptional = false,
  ): View<T> => {
    const made = createView(deps, type, read, isOptional);
    watched.push(made);
    return made.view;
  };
  const views = {
    rollouts: view(RESOURCES.rollout, readRollout),
    replicaSets: view(RESOURCES.replicaSet, readReplicaSet),
    analysisRuns: view(RESOURCES.analysisRun, readAnalysisRun),
    analysisTemplates: view(RESOURCES.analysisTemplate, readAnalysisTemplate),
    clusterAnalysisTemplates: view(RESOURCES.clusterAnalysisTemplate, readClusterAnalysisTemplate),
    experiments: view(RESOURCES.experiment, readExperiment),
    services: view(RESOURCES.service, readService),
    pods: view(RESOURCES.pod, readPod),
    endpointSlices: view(RESOURCES.endpointSlice, readEndpointSlice),
    gateways: view(RESOURCES.gateway, readGateway),
    httpRoutes: view(RESOURCES.httpRoute, readHttpRoute),
    trafficPolicies: view(RESOURCES.trafficPolicy, readTrafficPolicy),
    routed: ROUTER_TYPES.map((type) => view(type, (object) => ({ value: object }), true)),
    ...(deps.targetGroupBindings !== undefined && {
      targetGroupBindings: view(deps.targetGroupBindings, readTargetGroupBinding, true),
    }),
  };
  const workloads = createWorkloads(views.replicaSets, (type) =>
    createView(deps, type, (object) => ({ value: object }), false),
  );
  return {
    ...views,
    workloads,
    start: () => watched.forEach((one) => void one.start()),
    waitForSync: async (signal) =>
      (await Promise.all(watched.map((one) => one.waitForSync(signal)))).every((isSynced) => isSynced),
    stop: async () => void (await Promise.all([workloads.stop(), ...watched.map((one) => one.stop())])),
  };
}

function createView<T>(
  { client, clock, log, namespace }: CachesDeps,
  type: ResourceType,
  read: (object: KubeObject) => { readonly value: T },
  isOptional: boolean,
): Watched & { readonly view: View<T> } {
  const isConfined = namespace !== undefined && type.isNamespaced;
  const reflector = createReflector({ client, type, clock, log, ...(isConfined && { namespace }) });
  const stopping = new AbortController();
  const known = Promise.withResolvers<void>();
  let running: Promise<void> | undefined;
  let isServed = false;

  /** Starts watching as soon as the server knows the kind. */
  const begin = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const presence = await probe(
        client,
        type,
        isConfined ? namespace : undefined,
        isOptional,
        stopping.signal,
      );
      if (presence === "there") {
        isServed = true;
        reflector.start();
        await reflector.waitForSync(stopping.signal);
        return known.resolve();
      }
      if (presence === "unknown kind") {
        log.debug("kind is not installed", { kind: type.kind });
        known.resolve();
      } else log.warn("the API server does not answer", { kind: type.kind, error: presence.error });
      await sleep(clock, presence === "unknown kind" ? PROBE_MS : RETRY_MS, stopping.signal);
    }
  };
  const readOnce = oncePerObject((object: KubeObject) => read(object).value);
  const { store } = reflector;
  return {
    view: {
      type,
      store,
      get(namespaceOf, name) {
        const object = store.get(type.isNamespaced ? `${namespaceOf}/${name}` : name);
        return object === undefined ? undefined : readOnce(object);
      },
      list: (namespaceOf) => store.list(namespaceOf).map(readOnce),
      byOwner: (uid) => store.byOwner(uid).map(readOnce),
      read: readOnce,
      isServed: () => isServed,
      subscribe: (listener) => reflector.subscribe(listener),
    },
    start() {
      running ??= begin();
    },
    async waitForSync(signal) {
      const aborted = new Promise<false>((resolve) => {
        if (signal.aborted) resolve(false);
        else signal.addEventListener("abort", () => resolve(false), { once: true });
      });
      return Promise.race([known.promise.then(() => true), aborted]);
    },
    async stop() {
      stopping.abort();
      await Promise.all([running, reflector.stop()]);
    },
  };
}

type Presence = "there" | "unknown kind" | { readonly error: string };

async function probe(
  client: ClusterClient,
  type: ResourceType,
  namespace: string | undefined,
  isOptional: boolean,
  signal: AbortSignal,
): Promise<Presence> {
  try {
    await client.list(type, { signal, ...(namespace !== undefined && { namespace }) });
    return "there";
  } catch (error) {
    const isLacking =
      isWeirError(error, CLUSTER_ERRORS.notFound) ||
      (isOptional && isWeirError(error, CLUSTER_ERRORS.forbidden));
    return isLacking ? "unknown kind" : { error: messageOf(error) };
  }
}
