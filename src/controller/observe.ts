// Builds the snapshot of one Rollout from the caches and the publisher. Nothing is decided here.
import {
  type AnalysisRun,
  canaryServicesOf,
  type Experiment,
  type FieldError,
  fieldErrorText,
  type KubeObject,
  type Pod,
  type ReplicaSet,
  type Rollout,
  resolveWorkload,
  rolloutErrors,
  WEIR_ROUTER,
  withDecodableTemplate,
} from "../api/api.ts";
import {
  DEFAULT_ENGINE_CONFIG,
  type EngineConfig,
  type Snapshot,
  type TrafficSnapshot,
} from "../engine/decide.ts";
import { CAPABILITIES, routerSettingsErrors } from "../routers/routers.ts";
import type { BalancerWatch } from "./balancers.ts";
import type { Caches } from "./caches.ts";
import type { Evictions } from "./evictions.ts";
import type { Publisher } from "./publish.ts";
import type { RefusedWrites } from "./refusedwrites.ts";
import { type RouterTroubles, routerViews, unservedErrors } from "./routing.ts";
import type { StepPlugins } from "./stepplugins.ts";
import { hear } from "./verification.ts";

export interface ObserveDeps {
  readonly caches: Caches;
  readonly publisher: Pick<Publisher, "published" | "publishedSinceMs" | "acknowledgement">;
  /** Absent in a process that evicts nothing. */
  readonly evictions?: Pick<Evictions, "refused">;
  readonly refused?: Pick<RefusedWrites, "of">;
  /** Absent in a process that writes nothing. */
  readonly troubles?: Pick<RouterTroubles, "of">;
  /** Absent in a process that calls no plugins: what they are is not known then. */
  readonly stepPlugins?: Pick<StepPlugins, "snapshot">;
  /** Absent where nobody can ask load balancers. */
  readonly balancers?: Pick<BalancerWatch, "answers" | "forget"> | undefined;
  readonly config?: EngineConfig;
}

/** What the decision about `raw` may depend on. */
export function observe(deps: ObserveDeps, held: KubeObject): Snapshot {
  const { caches, publisher, evictions, refused, stepPlugins, config } = deps;
  const namespace = held.metadata.namespace ?? "";
  const { rollout, raw, reference, checked } = resolveWorkload(
    held,
    caches.rollouts.read(held),
    (type, name) => caches.workloads.get(type, namespace, name),
  );
  const key = `${namespace}/${raw.metadata.name}`;
  const published = publisher.published(key);
  const publishedSinceMs = publisher.publishedSinceMs(key);
  const snapshot: Snapshot = {
    rollout,
    raw: withDecodableTemplate(raw),
    workload: {
      replicaSets: caches.replicaSets.list(namespace).filter((set) => concerns(set, raw)),
      pods: podsOf(caches, raw),
      ...(reference !== undefined && { reference }),
      ...(evictions !== undefined && { refusedEvictions: evictions.refused(key) }),
      ...(refused !== undefined && { refused: refused.of(key) }),
    },
    services: servicesOf(caches, rollout),
    traffic: {
      acknowledgement: mayBeRouted(rollout) ? publisher.acknowledgement(key) : { kind: "notApplicable" },
      ...(published !== undefined && { published }),
      ...(publishedSinceMs !== undefined && { publishedSinceMs }),
    },
    analysis: {
      runs: caches.analysisRuns.list(namespace).filter((run) => isTheirs(run, raw)),
      templates: caches.analysisTemplates.list(namespace),
      clusterTemplates: caches.clusterAnalysisTemplates.list(),
    },
    experiments: caches.experiments.list(namespace).filter((experiment) => isTheirs(experiment, raw)),
    ...(stepPlugins !== undefined && { plugins: stepPlugins.snapshot(key) }),
    validation: { errors: errorsOf(caches, checked).map(fieldErrorText) },
    config: config ?? DEFAULT_ENGINE_CONFIG,
  };
  return { ...snapshot, traffic: { ...snapshot.traffic, ...otherRouters(deps, key, snapshot) } };
}

/** The Services that the strategy names, as far as they are there. */
function servicesOf({ services }: Caches, rollout: Rollout): Snapshot["services"] {
  const { namespace = "" } = rollout.metadata;
  const { blueGreen } = rollout.spec?.strategy ?? {};
  const names = canaryServicesOf(rollout);
  const as = (role: keyof Snapshot["services"], name: string | undefined): Snapshot["services"] => {
    const service = name === undefined ? undefined : services.get(namespace, name);
    return service === undefined ? {} : { [role]: service };
  };
  return {
    ...as("stable", names.stable),
    ...as("canary", names.canary),
    ...as("active", blueGreen?.activeService),
    ...as("preview", blueGreen?.previewService),
  };
}

/** What is known of routers beside weir's own: what their objects hold, and what load balancers say where they are asked. */
function otherRouters(
  { caches, troubles, balancers }: ObserveDeps,
  key: string,
  snapshot: Snapshot,
): Pick<TrafficSnapshot, "routers" | "registrations"> {
  const heard = balancers === undefined ? {} : hear({ caches, balancers }, key, snapshot);
  const trouble = (router: string): string | undefined => troubles?.of(key, router);
  const routers = routerViews(caches, snapshot.rollout, trouble, heard.answers);
  const { registrations } = heard;
  return {
    ...(routers.length > 0 && { routers }),
    ...(registrations !== undefined && { registrations }),
  };
}

/** What is wrong with the Rollout by itself, and with routers that cannot be had here. */
function errorsOf(caches: Caches, rollout: Rollout): readonly FieldError[] {
  return [
    ...rolloutErrors(rollout, CAPABILITIES),
    ...routerSettingsErrors(rollout),
    ...unservedErrors(caches, rollout),
  ];
}

/** The pods of the Rollout's ReplicaSets. */
export function podsOf(
  { replicaSets, pods }: Pick<Caches, "replicaSets" | "pods">,
  { metadata }: KubeObject,
): Pod[] {
  return replicaSets.byOwner(metadata.uid ?? "").flatMap((set) => pods.byOwner(set.metadata.uid ?? ""));
}

/** Whether weir's proxies may carry the Rollout's traffic: that of a blue-green one wherever they route its Services. */
export function mayBeRouted(rollout: Rollout): boolean {
  const { canary, blueGreen } = rollout.spec?.strategy ?? {};
  return canary?.trafficRouting?.plugins?.[WEIR_ROUTER] !== undefined || blueGreen !== undefined;
}

/** Its own ReplicaSets, orphans that may be adopted, and whatever stands under a name that it may compute. */
function concerns(set: ReplicaSet, rollout: KubeObject): boolean {
  return !set.metadata.ownerReferences?.some((owner) => owner.controller === true) || isTheirs(set, rollout);
}

function isTheirs(object: ReplicaSet | AnalysisRun | Experiment, rollout: KubeObject): boolean {
  return (
    object.metadata.ownerReferences?.some((owner) => owner.uid === rollout.metadata.uid) === true ||
    object.metadata.name.startsWith(`${rollout.metadata.name}-`)
  );
}
