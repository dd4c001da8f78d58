// A small model of a cluster around one Rollout, for `weir simulate` and the engine's tests: the objects, as an API server holds them, and
// what users, proxies and providers do to them. What weir and Kubernetes do then is in reconcile.ts and replicasets.ts. Deterministic; time
// is set by hand.
import {
  type Acknowledgement,
  type KubeObject,
  POD_HASH_LABEL,
  type Rollout,
  type TrafficIntent,
  WORKLOAD_TYPES,
} from "../api/api.ts";
import {
  type Action,
  decide,
  newVerdicts,
  type Plan,
  type PlannedEvent,
  type RefusedEviction,
  type RefusedWrite,
  requestOf,
  type Snapshot,
  withRouterEvents,
} from "../engine/decide.ts";
import { isObject, jsonEqual } from "../lib/json.ts";
import { applyMergePatch } from "../lib/patch.ts";
import { formatTime, parseTime } from "../lib/time.ts";
import type { BalancerAnswers, Patch } from "../routers/routers.ts";
import { observe } from "./observe.ts";
import { PluginModel } from "./plugins.ts";
import { apply, dueMs, settle } from "./reconcile.ts";
import { evict, runReplicaSets, setReady } from "./replicasets.ts";
import { routerWrites } from "./routing.ts";
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

/** When a script's first command is carried out. */
export const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** The model. Methods that change it do not reconcile; `settle` does. */
export class World {
  /** What its objects say, typed. */
  readonly views: Views = createViews();
  nowMs: number;
  rollout: KubeObject;
  readonly replicaSets = new Map<string, KubeObject>();
  /** Of the ReplicaSets; made and taken away in replicasets.ts. */
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
  toldVerdicts: readonly PlannedEvent[] = [];
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
  /** Times so far at which measurements were taken and nothing was decided. */
  measured = 0;
  readiness: Readiness = "auto";
  acking: Acking = "auto";
  /** Whether proxies route the Services of a blue-green Rollout, which no field asks for. */
  isBlueGreenRouted = false;
  published: TrafficIntent | undefined;
  /** Since when the present controller has published anything. */
  publishedSinceMs = START_MS;
  acknowledgement: Acknowledgement = { kind: "yes" };
  /** The last intent that every proxy follows, as a proxy would know it. */
  inForce: TrafficIntent | undefined;
  /** As many pods must be ready when one is evicted, without it. */
  disruptionBudget = 0;
  refusedEvictions: Readonly<Record<string, RefusedEviction>> = {};
  #version = 0;

  constructor(rollout: KubeObject, nowMs = START_MS) {
    this.nowMs = nowMs;
    this.rollout = this.#stamp({ ...rollout, metadata: { ...rollout.metadata, generation: 1 } });
  }

  /** An independent copy. */
  clone(): World {
    const copy = new World(this.rollout, this.nowMs);
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

  /** As `kubectl annotate`. Without a value the annotation is taken away. */
  annotate(key: string, value: string | undefined): void {
    const annotations = { [key]: value ?? null };
    this.rollout = this.#stamp(merged(this.rollout, { metadata: { annotations } }));
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

  /** The controller restarts, and is away for so long: what was published is forgotten, statuses stay. */
  restart(awayMs = 0): void {
    this.nowMs += awayMs;
    this.published = undefined;
    this.plugins.forget();
  }

  /** What the controller sees now. */
  snapshot(): Snapshot {
    return observe(this);
  }

  /** What it decides now. */
  plan(): Plan {
    this.decisions += 1;
    return decide(this.snapshot(), this.nowMs);
  }

  /** Carries out the plan, or only its first `steps` writes: what a crash leaves. Tells whether anything was written. */
  apply(plan: Plan, steps?: number): boolean {
    return apply(this, plan, steps);
  }

  /** Reconciles until nothing changes; returns the last plan. */
  settle(): Plan {
    return settle(this) ?? this.plan();
  }

  /** Moves time on, reconciling whenever a plan asks to be looked at again. */
  advance(durationMs: number): Plan {
    const untilMs = this.nowMs + durationMs;
    this.settle();
    for (let atMs = dueMs(this); atMs <= untilMs; atMs = dueMs(this)) {
      this.nowMs = atMs;
      this.settle();
    }
    this.nowMs = untilMs;
    return this.settle();
  }

  /** Makes `count` of a ReplicaSet's pods available, the others not. */
  setReady(name: string, count: number): void {
    setReady(this, name, count);
  }

  /** Lets the ReplicaSet controller run. Tells whether anything changed. */
  runReplicaSets(): boolean {
    return runReplicaSets(this);
  }

  /** What a plan tells once it is carried out with these writes. */
  eventsOf(plan: Plan, writes: readonly Patch[]): readonly PlannedEvent[] {
    const told = writes.map(({ event }) => event);
    return [...newVerdicts(this.toldVerdicts, plan.verdicts), ...withRouterEvents(plan.events, told)];
  }

  /** What the plan writes to the objects of routers, if the API takes it. */
  routerWrites(plan: Plan): readonly Patch[] {
    return this.areRoutersWritable ? routerWrites(this.rollout, plan, this.ingresses) : [];
  }

  publish(intent: TrafficIntent): void {
    if (this.published === undefined) this.publishedSinceMs = this.nowMs;
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
    if (request.verb === "evict") return void evict(this, name);
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

  #storeOf(kind: string): Map<string, KubeObject> {
    if (kind === "ReplicaSet") return this.replicaSets;
    if (kind === "Service") return this.services;
    if (kind === "Pod") return this.pods;
    if (kind === "Experiment") return this.experiments;
    return this.runs;
  }

  #stamp(object: KubeObject): KubeObject {
    this.#version += 1;
    const { creationTimestamp, uid = `uid-${object.metadata.name}` } = object.metadata;
    return {
      ...object,
      metadata: {
        ...object.metadata,
        uid,
        creationTimestamp: formatTime(parseTime(creationTimestamp) ?? this.nowMs),
        resourceVersion: String(this.#version),
      },
    };
  }
}

function merged(object: KubeObject, patch: unknown): KubeObject {
  // A merge of an object with an object patch is an object with the same kind and name.
  return applyMergePatch(object, patch) as KubeObject;
}
