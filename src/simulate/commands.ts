// The commands of a script: the form of each, and what it does to the model world. One table.
import {
  formatPath,
  type KubeObject,
  POD_HASH_LABEL,
  readAnalysisTemplate,
  readRollout,
} from "../api/api.ts";
import { explain } from "../engine/decide.ts";
import { parseDuration } from "../lib/duration.ts";
import { asObject, withoutKeys } from "../lib/json.ts";
import { applyMergePatch } from "../lib/patch.ts";
import { formatTime } from "../lib/time.ts";
import { wrapLine } from "../lib/wrap.ts";
import { EXPERIMENT_COMMANDS } from "./experimentcommands.ts";
import { serviceManifest, workloadManifest } from "./manifest.ts";
import { crashPod, podsOf, setReplicaFailure } from "./replicasets.ts";
import { balancerOf, ingressManifest } from "./routing.ts";
import { SHOWS } from "./show.ts";
import { standInTheWay } from "./takeover.ts";
import type { World } from "./world.ts";

/** Of a terminal, without the indentation of outputs. */
const COLUMNS = 78;

export interface Command {
  /** Of its arguments: see arguments.ts. */
  readonly form: string;
  /** Changes the world, which is then reconciled. */
  readonly act?: (world: World, args: readonly string[]) => void;
  /** Prints something and changes nothing. */
  readonly show?: (world: World, args: readonly string[]) => readonly string[];
  /** Why it makes no sense on a Rollout of files, and what to do there; absent: it does. */
  readonly notOnFiles?: string;
}

const INVENTED = "it makes an object up: put the object into the files";
const ERRORS = "what is wrong with the Rollout is found in the files: leave it out";
const WORKLOAD = "the workload is the one of the files: write `image` to change it";

/** By name. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  // Its words are read where a script begins.
  rollout: { form: "[OPTION...]", act: () => undefined },
  image: { form: "IMAGE", act: (world, [image = ""]) => editImage(world, image) },
  spec: { form: "JSON", act: (world, [json = ""]) => editSpec(world, JSON.parse(json)) },
  scale: { form: "N", act: (world, [count]) => world.editSpec({ replicas: Number(count) }) },
  readiness: {
    form: "auto|manual",
    act: (world, [how]) => {
      world.readiness = how === "manual" ? "manual" : "auto";
    },
  },
  plugins: {
    form: "[NAME...]",
    notOnFiles: "weir's own plugins are there; `disabled` takes one away",
    act: (world, names) => {
      world.plugins.names = names;
    },
  },
  disabled: {
    form: "[NAME...]",
    act: (world, names) => {
      world.plugins.disabled = names;
    },
  },
  answer: {
    form: "Run|Terminate|Abort ANSWER [WORDS]",
    act: (world, [operation = "", kind = "", words = ""]) => world.plugins.answer(operation, kind, words),
  },
  setting: { form: "KEY [VALUE]", act: (world, [key = "", value]) => world.annotate(key, value) },
  crash: { form: "stable|canary I N", act: crash },
  ready: { form: "stable|canary N", act: ready },
  failing: { form: "stable|canary [WORDS]", act: failing },
  acking: {
    form: "auto|manual",
    act: (world, [how]) => {
      world.acking = how === "manual" ? "manual" : "auto";
      if (world.acking === "auto") world.acknowledge();
    },
  },
  ack: { form: "", act: (world) => world.acknowledge() },
  nack: { form: "NODE WORDS", act: (world, [node = "", why = ""]) => world.refuse(node, why) },
  restart: {
    form: "[DURATION]",
    act: (world, [away = "0s"]) => world.restart(parseDuration(away) ?? 0),
  },
  blocker: { form: "NAME [going]", act: standInTheWay },
  remove: { form: "REPLICASET", act: (world, [name = ""]) => remove(world.replicaSets, name) },
  orphan: { form: "REPLICASET", act: (world, [name = ""]) => world.release(name) },
  delete: { form: "", act: (world) => world.deleteRollout() },
  patchstatus: { form: "JSON", act: (world, [json = ""]) => world.patchStatus(JSON.parse(json)) },
  workload: {
    form: "Deployment|ReplicaSet|PodTemplate IMAGE [N]",
    notOnFiles: WORKLOAD,
    act: (world, args) => world.editWorkload(workloadManifest(args)),
  },
  noworkload: { form: "KIND/NAME", act: (world, [key = ""]) => remove(world.workloads, key) },
  restartpods: { form: "[DURATION]", act: restartPods },
  budget: {
    form: "N",
    act: (world, [count]) => {
      world.disruptionBudget = Number(count);
    },
  },
  abort: { form: "", act: (world) => world.patchStatus({ abort: true }) },
  retry: { form: "", act: (world) => world.patchStatus({ abort: false }) },
  promote: { form: "[full]", act: (world, [full]) => promote(world, full !== undefined) },
  pause: { form: "", act: (world) => world.editSpec({ paused: true }) },
  unpause: { form: "", act: (world) => world.editSpec({ paused: null }) },
  invalid: {
    form: "WORDS",
    notOnFiles: ERRORS,
    act: (world, args) => {
      world.errors = args;
    },
  },
  valid: {
    form: "",
    notOnFiles: ERRORS,
    act: (world) => {
      world.errors = [];
    },
  },
  services: {
    form: "NAME...",
    notOnFiles: INVENTED,
    act: (world, names) => names.forEach((name) => void world.add("services", serviceManifest(name))),
  },
  template: {
    form: "NAME",
    notOnFiles: INVENTED,
    act: (world, [name = ""]) => world.add("templates", analysisTemplate(name)),
  },
  measure: { form: "step|background|pre|post PHASE [WORDS]", act: measure },
  metric: { form: "NAME VALUE", act: answer },
  selector: { form: "SERVICE [VERSION]", act: setSelector },
  ingress: {
    form: "NAME SERVICE",
    notOnFiles: INVENTED,
    act: (world, [name = "", service = ""]) => world.add("ingresses", ingressManifest(name, service)),
  },
  annotate: { form: "INGRESS KEY=VALUE", act: annotate },
  balancer: { form: "INGRESS SERVICE=N...", act: setBalancer },
  targets: { form: "SERVICE N", act: setTargets },
  routers: {
    form: "allowed|refused",
    act: (world, [how]) => {
      world.areRoutersWritable = how !== "refused";
    },
  },
  // Time passes where scripts are run.
  tick: { form: "DURATION", act: () => undefined },
  explain: {
    form: "",
    show: (world) => explain(world.plan(), world.nowMs).flatMap((line) => wrapLine(line, COLUMNS)),
  },
  ...SHOWS,
  ...EXPERIMENT_COMMANDS,
};

/** A merge patch as the API would take it: a field of the wrong type is refused. */
function editSpec(world: World, patch: unknown): void {
  const faults = (rollout: KubeObject): readonly string[] =>
    readRollout(rollout).dropped.map(({ path, message }) => `${formatPath(path)} ${message}`);
  const known = faults(world.rollout);
  // A merge of an object with an object patch is an object of the same kind.
  const next = applyMergePatch(world.rollout, { spec: patch }) as KubeObject;
  const fault = faults(next).find((text) => !known.includes(text));
  if (fault !== undefined) throw new Error(`the API would refuse it: ${fault}`);
  world.editSpec(patch);
}

function remove(store: Map<string, KubeObject>, name: string): void {
  if (!store.delete(name)) throw new Error(`there is no ${name}${thereAre([...store.keys()])}`);
}

function thereAre(names: readonly string[]): string {
  return names.length === 0 ? "; there is none" : `; there are: ${names.join(", ")}`;
}

function restartPods(world: World, [after = "0s"]: readonly string[]): void {
  world.editSpec({ restartAt: formatTime(world.nowMs + (parseDuration(after) ?? 0)) });
}

/** `metric errors 0.02`: what its provider answers from now on. */
function answer(world: World, [name = "", value = ""]: readonly string[]): void {
  const templates = [...world.templates.values(), ...world.clusterTemplates.values()];
  const known = templates.flatMap((template) =>
    (readAnalysisTemplate(template).value.spec.metrics ?? []).map((metric) => metric.name),
  );
  if (!known.includes(name)) throw new Error(`no template has a metric ${name}${thereAre(known)}`);
  world.answers.set(name, answerFrom(value));
}

/** What a provider gives: JSON where it is, a text otherwise. */
function answerFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, so it is a text.
    return text;
  }
}

/** Another image for the first container, or `name=image` for the one of that name; in the workload where the Rollout names one. */
function editImage(world: World, text: string): void {
  const spec = asObject(world.rollout.spec);
  const ref = asObject(spec.workloadRef);
  const workload = world.workloads.get(`${String(ref.kind)}/${String(ref.name)}`);
  const template = asObject(workload === undefined ? spec.template : asObject(workload.spec).template);
  const { containers } = asObject(template.spec);
  const [, wanted, image = text] = /^([a-z0-9-]+)=(.+)$/.exec(text) ?? [];
  const list = Array.isArray(containers) ? containers.map(asObject) : [];
  const at = wanted === undefined ? 0 : list.findIndex(({ name }) => name === wanted);
  if (list[at] === undefined) throw new Error(`the pod template has no container ${wanted ?? ""}`.trim());
  const next = list.map((container, index) => (index === at ? { ...container, image } : container));
  const patch = { template: { spec: { containers: next } } };
  if (workload === undefined) world.editSpec(patch);
  else world.editWorkload(applyMergePatch(workload, { spec: patch }) as typeof workload); // A merge keeps the kind.
}

/** As the published kubectl plugin does it. */
function promote(world: World, isFull: boolean): void {
  const { canary, currentStepIndex = 0, currentPodHash, stableRS, ...status } = world.status();
  if (Object(world.rollout.spec).paused === true) world.editSpec({ paused: false });
  const isPaused = (status.pauseConditions ?? []).length > 0;
  const isInconclusive = canary?.currentStepAnalysisRunStatus?.status === "Inconclusive";
  if (isFull) {
    if (currentPodHash !== stableRS) world.patchStatus({ promoteFull: true });
  } else if (isInconclusive && isPaused && status.controllerPause === true) {
    const next = { pauseConditions: null, controllerPause: false, currentStepIndex: currentStepIndex + 1 };
    world.patchStatus(next);
  } else if (isPaused) world.patchStatus({ pauseConditions: null });
  else world.patchStatus({ currentStepIndex: currentStepIndex + 1 });
}

function ready(world: World, [role = "", text = ""]: readonly string[]): void {
  const replicaSet = replicaSetOf(world, role);
  const count = Number(text);
  const { replicas = 1 } = world.views.rollout(world.rollout).spec;
  // Pods that an earlier step of an abort has taken away may still be named.
  const most = Math.max(replicas, world.views.replicaSet(replicaSet).spec.replicas ?? 1);
  if (count > most) throw new Error(`there are at most ${most} pods of ${role}`);
  world.setReady(replicaSet.metadata.name, count);
}

function replicaSetOf(world: World, role: string): KubeObject {
  const replicaSet = world.roleOf(role === "stable" ? "stable" : "canary");
  if (replicaSet === undefined) throw new Error(`there is no ${role} ReplicaSet`);
  return replicaSet;
}

/** `crash canary 0 3`: the first pod's container has ended, three times in all. The pod is no longer ready. */
function crash(world: World, [role = "", index = "", restarts = ""]: readonly string[]): void {
  const pod = podsOf(world, replicaSetOf(world, role).metadata.name)[Number(index)];
  if (pod === undefined) throw new Error(`there is no pod ${index} of ${role}`);
  crashPod(world, pod.metadata.name, Number(restarts));
}

/** `balancer shop web-canary=20 web-stable=80`: from now on load balancers are asked, and this one says so. */
function setBalancer(world: World, [name = "", ...weights]: readonly string[]): void {
  const ingress = world.ingresses.get(name);
  if (ingress === undefined) throw new Error(`there is no Ingress ${name}`);
  const made = balancerOf(ingress, weights);
  world.add("ingresses", made.ingress);
  world.balancers = new Map([...(world.balancers ?? []), [made.dnsName, made.balancer]]);
}

/** `targets web-active 1`: load balancers stand before the Service, and know so many pods of the version that it was switched to. */
function setTargets(world: World, [service = "", count = ""]: readonly string[]): void {
  if (!world.services.has(service)) throw new Error(`there is no Service ${service}`);
  world.registered = new Map([...world.registered, [service, Number(count)]]);
}

/** `annotate shop key=value`: somebody else's hand on an Ingress. */
function annotate(world: World, [name = "", pair = ""]: readonly string[]): void {
  const ingress = world.ingresses.get(name);
  if (ingress === undefined) throw new Error(`there is no Ingress ${name}`);
  const [key = "", value = ""] = pair.split(/=(.*)/s);
  const annotations = { ...ingress.metadata.annotations, [key]: value };
  world.add("ingresses", { ...ingress, metadata: { ...ingress.metadata, annotations } });
}

/** `selector web-active 6dcd5ffff6`: somebody else's hand on a Service, or a manifest applied anew; weir's mark is gone with it. */
function setSelector(world: World, [name = "", version]: readonly string[]): void {
  const service = world.services.get(name);
  if (service === undefined) throw new Error(`there is no Service ${name}`);
  const { annotations: _, ...metadata } = service.metadata;
  const { selector } = asObject(service.spec);
  const others = withoutKeys(asObject(selector), { [POD_HASH_LABEL]: "" });
  const next = version === undefined ? others : { ...others, [POD_HASH_LABEL]: version };
  world.add("services", { ...service, metadata, spec: { ...asObject(service.spec), selector: next } });
}

/** A ReplicaSet that cannot create its pods; without words it can again. */
function failing(world: World, [role = "", message]: readonly string[]): void {
  setReplicaFailure(world, replicaSetOf(world, role).metadata.name, message);
}

function measure(world: World, [kind = "", phase = "", message]: readonly string[]): void {
  const { canary, blueGreen } = world.status();
  const refs: Readonly<Record<string, { readonly name: string } | undefined>> = {
    step: canary?.currentStepAnalysisRunStatus,
    background: canary?.currentBackgroundAnalysisRunStatus,
    pre: blueGreen?.prePromotionAnalysisRunStatus,
    post: blueGreen?.postPromotionAnalysisRunStatus,
  };
  const run = refs[kind];
  if (run === undefined) throw new Error(`there is no ${kind} analysis now`);
  world.setRun(run.name, phase, message);
}

function analysisTemplate(name: string): Parameters<World["add"]>[1] {
  const plugin = { "weir.dev/traffic": { metric: "errorRate" } };
  const metric = {
    name: "errors",
    count: 3,
    interval: "10s",
    successCondition: "result < 0.05",
    provider: { plugin },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name, namespace: "default" },
    spec: { metrics: [metric] },
  };
}
