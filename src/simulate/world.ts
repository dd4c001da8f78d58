// A small model of a cluster around one Rollout, for `weir simulate` and the engine's tests: it applies plans as an API server would, plays
// the ReplicaSet controller, and lets a script say which pods are ready, what proxies acknowledge and what runs measure. Deterministic;
// time is set by hand.
import {
  type Acknowledgement,
  canaryServicesOf,
  type KubeObject,
  POD_HASH_LABEL,
  type Rollout,
  readPod,
  resolveWorkload,
  type TrafficIntent,
  WEIR_ROUTER,
  WORKLOAD_TYPES,
  withDecodableTemplate,
} from "../api/api.ts";
import {
  type Action,
  DEFAULT_ENGINE_CONFIG,
  decide,
  newVerdicts,
  type Plan,
  type PlannedEvent,
  type RefusedEviction,
  type RefusedWrite,
  requestOf,
  type Snapshot,
  toldVerdicts,
  withRouterEvents,
} from "../engine/decide.ts";

import { isObject, jsonEqual } from "../lib/json.ts";
import { applyMergePatch, diffMergePatch } from "../lib/patch.ts";
import { type BalancerAnswers, observeRouters, type Patch } from "../routers/routers.ts";
import { experimentsDueMs, passExperiments } from "./experiments.ts";
import { measureDueMs, measureRuns } from "./measuring.ts";
import { PluginModel } from "./plugins.ts";
import { podsFor, withRestarts } from "./pods.ts";
import { registrationsIn, routerWrites, written } from "./routing.ts";

import { createViews, type Views } from "./views.ts";

/** Whether proxies acknowledge by themselves what is published. */
export type Acking = "auto" | "manual";
/** Whether pods that are asked for become available by themselves. */
export type Readiness = "auto" | "manual";

/** What the model holds besides the Rollout, by name. */
const STORES = [
  "replicaSets",
  "pods",
  "services",
  "runs",
  "templates",
  "clusterTemplates",
  "ingresses",
  "workloads",
  "experiments",
] as const;
export type Store = (typeof STORES)[number];

/** Where the Rollout stood from a moment on. */
export interface Moment {
  readonly atMs: number;
  readonly phase: string;
  readonly message: string;
  readonly step: number | undefined;
  readonly stepCount: number | undefined;
  readonly versions: Plan["explanation"]["versions"];
}

/** Passes that one change may take before the model calls it a loop. */
const MAX_PASSES = 60;
/** Pods of one ReplicaSet that have an object; more are only counted. */
const MAX_PODS = 1000;
/** When every simulation begins. */
export const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** The model. Methods that change it do not reconcile; `settle` does. */
export class World {
  /** What its objects say, typed. */
  readonly views: Views = createViews();
  nowMs = START_MS;
  rollout: KubeObject;
  readonly replicaSets = new Map<string, KubeObject>();
  /** Of the ReplicaSets; made and taken away by `runReplicaSets` and `setReady`. */
  readonly pods = new Map<string, KubeObject>();
  plugins = new PluginModel();
  readonly services = new Map<string, KubeObject>();
  readonly runs = new Map<string, KubeObject>();
  readonly templates = new Map<string, KubeObject>();
  /** Where other routers than weir's work. */
  readonly ingresses = new Map<string, KubeObject>();
  /** What load balancers say, by DNS name; undefined: nobody asks them. */
  balancers: BalancerAnswers | undefined;
  /** How many pods of the wanted version load balancers know, by Service; of others nobody asks. */
  registered: ReadonlyMap<string, number> = new Map();
  /** What was told last of what load balancers say. */
  #told: readonly PlannedEvent[] = [];
  /** Whether the API takes what is written to them. */
  areRoutersWritable = true;
  /** What `spec.workloadRef` may name, by kind and name. */
  readonly workloads = new Map<string, KubeObject>();
  readonly experiments = new Map<string, KubeObject>();
  /** Whether the Rollout takes part; a script may be about an Experiment alone. */
  hasRollout = true;
  /** The words in which the API refuses what an Experiment creates; undefined: it creates what it is asked for. */
  refusing: string | undefined;
  /** What was refused, by Experiment. */
  readonly refused = new Map<string, readonly RefusedWrite[]>();
  readonly clusterTemplates = new Map<string, KubeObject>();
  readonly events: PlannedEvent[] = [];
  errors: readonly string[] = [];
  /** What else is wrong with the Rollout as it stands; scripts that make up their own are taken at their word. */
  validate: (rollout: Rollout) => readonly string[] = () => [];
  /** What providers answer, by the metric's name. */
  readonly answers = new Map<string, unknown>();
  /** Whether the Rollout is one of a user's files, whose analyses have real metrics. */
  isOfFiles = false;
  /** Metrics of which a script was told that they have no answer. */
  readonly toldUnanswered = new Set<string>();
  /** One entry for every state that was come to, in order. */
  readonly timeline: Moment[] = [];
  /** Decisions made so far. */
  decisions = 0;
  readiness: Readiness = "auto";
  acking: Acking = "auto";
  /** Whether proxies route the Services of a blue-green Rollout, which no field asks for. */
  isBlueGreenRouted = false;
  published: TrafficIntent | undefined;
  acknowledgement: Acknowledgement = { kind: "yes" };
  /** The last intent that every proxy follows, as a proxy would know it. */
  inForce: TrafficIntent | undefined;
  /** As many pods must be ready when one is evicted, without it. */
  disruptionBudget = 0;
  refusedEvictions: Readonly<Record<string, RefusedEviction>> = {};
  #version = 0;

  constructor(rollout: KubeObject) {
    this.rollout = this.#stamp({ ...rollout, metadata: { ...rollout.metadata, generation: 1 } });
  }

  /** An independent copy. */
  clone(): World {
    const copy = new World(this.rollout);
    const stores = Object.fromEntries(STORES.map((kind) => [kind, new Map(this[kind])]));
    Object.assign(copy, this, stores, {
      events: [],
      timeline: [],
      refused: new Map(this.refused),
      answers: new Map(this.answers),
      toldUnanswered: new Set(this.toldUnanswered),
      plugins: this.plugins.clone(),
    });
    copy.#version = this.#version;
    copy.#told = this.#told;
    return copy;
  }

  add(kind: Store, object: KubeObject): void {
    this[kind].set(object.metadata.name, this.#stamp(object));
  }

  /** The Rollout is on its way out, held by its dependents. */
  deleteRollout(): void {
    const deletionTimestamp = new Date(this.nowMs).toISOString();
    const { metadata } = this.rollout;
    const finalizers = ["foregroundDeletion"];
    this.rollout = this.#stamp({ ...this.rollout, metadata: { ...metadata, deletionTimestamp, finalizers } });
  }

  /** Somebody takes a ReplicaSet's owner away. */
  release(name: string): void {
    const replicaSet = this.replicaSets.get(name);
    if (replicaSet === undefined) throw new Error(`no ReplicaSet ${name}`);
    const { ownerReferences: _, ...metadata } = replicaSet.metadata;
    this.replicaSets.set(name, this.#stamp({ ...replicaSet, metadata }));
  }

  /** Creates or changes a workload as a user does: its generation rises. */
  editWorkload(workload: KubeObject): void {
    const key = `${workload.kind}/${workload.metadata.name}`;
    const generation = (this.workloads.get(key)?.metadata.generation ?? 0) + 1;
    this.workloads.set(key, this.#stamp({ ...workload, metadata: { ...workload.metadata, generation } }));
  }

  /** Changes the spec as a user does: the generation rises. */
  editSpec(patch: unknown): void {
    const next = merged(this.rollout, { spec: patch });
    if (jsonEqual(next.spec, this.rollout.spec)) return;
    const generation = (this.rollout.metadata.generation ?? 0) + 1;
    this.rollout = this.#stamp({ ...next, metadata: { ...next.metadata, generation } });
  }

  /** As `kubectl annotate`. */
  annotate(key: string, value: string): void {
    this.rollout = this.#stamp(merged(this.rollout, { metadata: { annotations: { [key]: value } } }));
  }

  patchStatus(patch: unknown): void {
    this.rollout = this.#stamp(merged(this.rollout, { status: patch }));
  }

  status(): Rollout["status"] {
    return this.views.rollout(this.rollout).status;
  }

  /** The ReplicaSet of a role: `canary` is the wanted version, `stable` the one in status.stableRS. */
  roleOf(role: "stable" | "canary"): KubeObject | undefined {
    const { stableRS, currentPodHash } = this.status();
    const hash = role === "stable" ? stableRS : currentPodHash;
    return [...this.replicaSets.values()].find((item) => item.metadata.labels?.[POD_HASH_LABEL] === hash);
  }

  /** Makes `count` of a ReplicaSet's pods available, the others not. */
  setReady(name: string, count: number): void {
    const replicaSet = this.replicaSets.get(name);
    if (replicaSet !== undefined) this.#writeStatus(replicaSet, count);
  }

  /** A ReplicaSet's controller is refused its pods, in these words; undefined: it gets them again. */
  setReplicaFailure(name: string, message: string | undefined): void {
    const replicaSet = this.replicaSets.get(name);
    if (replicaSet === undefined) throw new Error(`no ReplicaSet ${name}`);
    const failure = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message };
    const conditions = message === undefined ? null : [failure];
    this.replicaSets.set(name, this.#stamp(merged(replicaSet, { status: { conditions } })));
  }

  /** The living pods of a ReplicaSet, oldest first. */
  podsOf(replicaSet: string): readonly KubeObject[] {
    return [...this.pods.values()].filter((pod) => pod.metadata.ownerReferences?.[0]?.name === replicaSet);
  }

  /** One pod's container has ended, `restarts` times in all, and waits to be started again. */
  crashPod(name: string, restarts: number): void {
    const pod = this.pods.get(name);
    if (pod === undefined) throw new Error(`no pod ${name}`);
    this.pods.set(name, this.#stamp(withRestarts(pod, restarts, this.nowMs)));
  }

  /** Every pod that is asked for becomes available, or, by hand, none that was not. */
  runReplicaSets(): boolean {
    let hasChanged = false;
    for (const replicaSet of this.replicaSets.values()) {
      const value = this.views.replicaSet(replicaSet);
      const wanted = value.spec.replicas ?? 1;
      const available =
        this.readiness === "auto" ? wanted : Math.min(value.status.availableReplicas ?? 0, wanted);
      hasChanged = this.#writeStatus(replicaSet, available) || hasChanged;
    }
    return hasChanged;
  }

  acknowledge(): void {
    this.acknowledgement = { kind: "yes" };
    this.inForce = this.published;
  }

  refuse(node: string, why: string): void {
    const sinceMs = this.acknowledgement.kind === "no" ? this.acknowledgement.sinceMs : this.nowMs;
    this.acknowledgement = { kind: "no", nodes: [{ node, why }], sinceMs };
  }

  setRun(name: string, phase: string, message?: string): void {
    const run = this.runs.get(name);
    if (run === undefined) throw new Error(`no AnalysisRun ${name}`);
    this.runs.set(
      name,
      this.#stamp(merged(run, { status: { phase, ...(message === undefined ? {} : { message }) } })),
    );
  }

  /** Evicts a pod, unless the disruption budget would then be broken. */
  evict(name: string): void {
    const pod = this.pods.get(name);
    const owner = this.replicaSets.get(pod?.metadata.ownerReferences?.[0]?.name ?? "");
    if (pod === undefined || owner === undefined) return;
    const ready = [...this.pods.values()].filter((item) => isReady(item)).length;
    const { uid = "" } = pod.metadata;
    if (isReady(pod) && ready <= this.disruptionBudget) {
      const words = "Cannot evict pod as it would violate the pod's disruption budget.";
      this.refusedEvictions = { ...this.refusedEvictions, [uid]: { atMs: this.nowMs, words } };
      return;
    }
    const { [uid]: _, ...others } = this.refusedEvictions;
    this.refusedEvictions = others;
    this.pods.delete(name);
    const { availableReplicas = 0 } = this.views.replicaSet(owner).status;
    this.#writeStatus(owner, isReady(pod) ? availableReplicas - 1 : availableReplicas);
  }

  /** The controller restarts: what was published is forgotten, statuses stay. */
  restart(): void {
    this.published = undefined;
    this.plugins.forget();
  }

  snapshot(): Snapshot {
    const held = this.views.rollout(this.rollout);
    const { rollout, raw, checked, reference } = resolveWorkload(this.rollout, held, (type, name) =>
      this.workloads.get(`${type.kind}/${name}`),
    );
    const { canary, blueGreen } = rollout.spec.strategy ?? {};
    const names = canaryServicesOf(rollout);
    const isRouted =
      blueGreen === undefined
        ? canary?.trafficRouting?.plugins?.[WEIR_ROUTER] !== undefined
        : this.isBlueGreenRouted;
    const routers = observeRouters(rollout, [...this.ingresses.values()], this.balancers);
    const snapshot: Snapshot = {
      rollout,
      raw: withDecodableTemplate(raw),
      workload: {
        replicaSets: [...this.replicaSets.values()].map((item) => this.views.replicaSet(item)),
        pods: [...this.pods.values()].map((item) => this.views.pod(item)),
        ...(reference === undefined ? {} : { reference }),
        refusedEvictions: this.refusedEvictions,
      },
      services: {
        ...this.#service("stable", names.stable),
        ...this.#service("canary", names.canary),
        ...this.#service("active", blueGreen?.activeService),
        ...this.#service("preview", blueGreen?.previewService),
      },
      traffic: {
        ...(this.published === undefined ? {} : { published: this.published }),
        acknowledgement: isRouted ? this.acknowledgement : { kind: "notApplicable" },
        ...(routers.length === 0 ? {} : { routers }),
      },
      analysis: {
        runs: [...this.runs.values()].map((item) => this.views.run(item)),
        templates: [...this.templates.values()].map((item) => this.views.template(item)),
        clusterTemplates: [...this.clusterTemplates.values()].map((item) => this.views.clusterTemplate(item)),
      },
      plugins: this.plugins.snapshot(),
      validation: { errors: [...this.errors, ...this.validate(checked)] },
      experiments: [...this.experiments.values()].map((item) => this.views.experiment(item)),
      config: DEFAULT_ENGINE_CONFIG,
    };
    const registrations = registrationsIn(snapshot, this.registered);
    if (registrations === undefined) return snapshot;
    return { ...snapshot, traffic: { ...snapshot.traffic, registrations } };
  }

  plan(): Plan {
    this.decisions += 1;
    return decide(this.snapshot(), this.nowMs);
  }

  /** Takes the measurements that scripts answer. Tells whether a run changed. */
  measure(): boolean {
    const changed = measureRuns(this);
    for (const [name, status] of changed) {
      const run = this.runs.get(name);
      if (run !== undefined) this.runs.set(name, this.#stamp({ ...run, status }));
    }
    return changed.size > 0;
  }

  /** Notes where the plan leaves the Rollout, if that is somewhere else. */
  #note({ explanation }: Plan): void {
    const { phase, message, step, versions } = explanation;
    const moment = { phase, message, step: step?.index, stepCount: step?.count, versions };
    const last = this.timeline.at(-1);
    if (last !== undefined && jsonEqual({ ...last, atMs: 0 }, { ...moment, atMs: 0 })) return;
    this.timeline.push({ atMs: this.nowMs, ...moment });
  }

  /** Carries out the plan, or only its first `steps` writes: what a crash leaves. Tells whether anything was written. */
  apply(plan: Plan, steps = Number.POSITIVE_INFINITY): boolean {
    let done = 0;
    this.#note(plan);
    for (const action of plan.actions) {
      if (done >= steps) return true;
      this.write(action);
      done += 1;
    }
    const patch = diffMergePatch(this.rollout.status ?? {}, plan.status);
    if (patch !== undefined) {
      if (done >= steps) return true;
      this.patchStatus(patch);
      done += 1;
    }
    const writes = this.routerWrites(plan);
    for (const write of writes) {
      if (done >= steps) return true;
      this.add("ingresses", written(this.ingresses, write));
      done += 1;
    }
    if (plan.traffic !== undefined && !jsonEqual(plan.traffic, this.published)) {
      if (done >= steps) return true;
      this.publish(plan.traffic);
      done += 1;
    }
    if (done < steps && this.plugins.carryOut(plan.calls ?? [], this.nowMs)) done += 1;
    this.events.push(...this.eventsOf(plan, writes));
    this.#told = toldVerdicts(this.#told, plan.verdicts);
    return done > 0;
  }

  /** What a plan tells once it is carried out with these writes. */
  eventsOf(plan: Plan, writes: readonly Patch[]): readonly PlannedEvent[] {
    const told = writes.map(({ event }) => event);
    return [...newVerdicts(this.#told, plan.verdicts), ...withRouterEvents(plan.events, told)];
  }

  /** What the plan writes to the objects of routers, if the API takes it. */
  routerWrites(plan: Plan): readonly Patch[] {
    return this.areRoutersWritable ? routerWrites(this.rollout, plan, this.ingresses) : [];
  }

  publish(intent: TrafficIntent): void {
    this.published = intent;
    if (this.acking === "auto" || (this.inForce !== undefined && jsonEqual(this.inForce, intent)))
      this.acknowledge();
    else
      this.acknowledgement = {
        kind: "no",
        nodes: [{ node: "proxy-1", why: "no answer yet" }],
        sinceMs: this.nowMs,
      };
  }

  /** Reconciles until nothing changes; returns the last plan. */
  settle(): Plan {
    for (let pass = 0; pass < MAX_PASSES; pass += 1) {
      const plan = this.plan();
      const hasWritten = this.apply(plan);
      const { hasWritten: hasMore } = passExperiments(this);
      if (!this.runReplicaSets() && !this.measure() && !hasWritten && !hasMore) return plan;
    }
    throw new Error(`does not come to rest: ${JSON.stringify(this.plan(), null, 1)}`);
  }

  /** When something wants to be looked at though nothing changes; infinity when nothing does. */
  dueMs(): number {
    const never = Number.POSITIVE_INFINITY;
    const rolloutMs = this.hasRollout ? this.plan().requeueAtMs : undefined;
    return Math.min(rolloutMs ?? never, experimentsDueMs(this) ?? never, measureDueMs(this) ?? never);
  }

  /** Moves time on, reconciling whenever a plan asks to be looked at again. */
  advance(durationMs: number): Plan {
    const untilMs = this.nowMs + durationMs;
    this.settle();
    for (let dueMs = this.dueMs(); dueMs <= untilMs; dueMs = this.dueMs()) {
      this.nowMs = dueMs;
      this.settle();
    }
    this.nowMs = untilMs;
    return this.settle();
  }

  /** One action, with the preconditions that the API would hold. */
  write(action: Action): void {
    const request = requestOf(action);
    if (request.verb === "create") {
      const store = this.#storeOf(request.type.kind);
      if (store.has(request.object.metadata.name)) return;
      store.set(request.object.metadata.name, this.#stamp({ ...request.object, status: {} }));
      return;
    }
    const { name } = request.ref;
    if (request.verb === "evict") return void this.evict(name);
    if (request.type.kind === "Rollout") {
      if (request.verb !== "patch") throw new Error("nobody deletes the Rollout");
      if (isObject(request.body.spec)) this.editSpec(request.body.spec);
      else this.rollout = this.#stamp(merged(this.rollout, request.body));
      return;
    }
    if (request.type.kind === WORKLOAD_TYPES.deployment.kind) {
      const workload = this.workloads.get(`${request.type.kind}/${name}`);
      if (workload !== undefined && request.verb === "patch")
        this.editWorkload(merged(workload, request.body));
      return;
    }
    const store = this.#storeOf(request.type.kind);
    const object = store.get(name);
    if (request.verb === "delete") return void store.delete(name);
    if (object === undefined) throw new Error(`${request.type.kind} ${name} is not there`);
    const { resourceVersion } = isObject(request.body.metadata) ? request.body.metadata : {};
    if (resourceVersion !== undefined && resourceVersion !== object.metadata.resourceVersion)
      throw new Error(`conflict on ${name}`);
    const next = merged(object, request.body);
    if (!jsonEqual(next, object)) store.set(name, this.#stamp(next));
  }

  #service(role: keyof Snapshot["services"], name: string | undefined): Snapshot["services"] {
    const service = this.services.get(name ?? "");
    return service === undefined ? {} : { [role]: this.views.service(service) };
  }

  #storeOf(kind: string): Map<string, KubeObject> {
    if (kind === "ReplicaSet") return this.replicaSets;
    if (kind === "Service") return this.services;
    if (kind === "Pod") return this.pods;
    if (kind === "Experiment") return this.experiments;
    return this.runs;
  }

  #writeStatus(replicaSet: KubeObject, available: number): boolean {
    const value = this.views.replicaSet(replicaSet);
    const replicas = value.spec.replicas ?? 1;
    const bound = Math.min(available, replicas);
    const haveChanged = this.#writePods(replicaSet, replicas, bound);
    const { conditions } = value.status;
    const status = {
      replicas,
      readyReplicas: bound,
      availableReplicas: bound,
      observedGeneration: replicaSet.metadata.generation ?? 0,
      ...(conditions !== undefined && { conditions }),
    };
    if (jsonEqual(replicaSet.status, status)) return haveChanged;
    this.replicaSets.set(replicaSet.metadata.name, this.#stamp({ ...replicaSet, status }));
    return true;
  }

  #writePods(replicaSet: KubeObject, replicas: number, available: number): boolean {
    const living = this.podsOf(replicaSet.metadata.name);
    const wanted = { replicas: Math.min(replicas, MAX_PODS), available: Math.min(available, MAX_PODS) };
    const next = podsFor(replicaSet, living, wanted);
    const names = new Set(next.map(({ metadata }) => metadata.name));
    for (const { metadata } of living) if (!names.has(metadata.name)) this.pods.delete(metadata.name);
    const changed = next.filter((pod) => !jsonEqual(this.pods.get(pod.metadata.name), pod));
    for (const pod of changed) this.pods.set(pod.metadata.name, this.#stamp(pod));
    return changed.length > 0 || next.length < living.length;
  }

  #stamp(object: KubeObject): KubeObject {
    this.#version += 1;
    const created =
      object.metadata.creationTimestamp ?? new Date(this.nowMs).toISOString().replace(".000Z", "Z");
    return {
      ...object,
      metadata: {
        ...object.metadata,
        uid: object.metadata.uid ?? `uid-${object.metadata.name}`,
        creationTimestamp: created.replace(/\.\d+Z$/, "Z"),
        resourceVersion: String(this.#version),
      },
    };
  }
}

function isReady(pod: KubeObject): boolean {
  return (
    readPod(pod).value.status.conditions?.some(
      ({ type, status }) => type === "Ready" && status === "True",
    ) === true
  );
}

function merged(object: KubeObject, patch: unknown): KubeObject {
  // A merge of an object with an object patch is an object with the same kind and name.
  return applyMergePatch(object, patch) as KubeObject;
}
