// Runs a scenario script against the model world: one command a line (`> tick 30s`), below it what weir then does, pass by pass.
// A script is its own expectation: running it gives the text that the file should hold.
import { didYouMean, readAnalysisTemplate, type TrafficIntent } from "../api/api.ts";
import { explain, type Plan, withRouterEvents } from "../engine/decide.ts";
import { parseDuration } from "../lib/duration.ts";
import { messageOf, WeirError } from "../lib/errors.ts";
import { asObject, jsonEqual } from "../lib/json.ts";
import { applyMergePatch } from "../lib/patch.ts";
import { wrapLine } from "../lib/wrap.ts";
import { experimentCommands } from "./experimentcommands.ts";
import { experimentStates, passExperiments } from "./experiments.ts";
import { referencePatch, serviceManifest, workloadManifest, worldWith } from "./manifest.ts";
import { unanswered } from "./measuring.ts";
import { balancerOf, ingressManifest, routingFrom } from "./routing.ts";
import { SHOWS } from "./show.ts";
import { standInTheWay, takeOverFrom } from "./takeover.ts";
import type { World } from "./world.ts";

const MAX_PASSES = 60;
/** Decisions that one script may take. */
const MAX_DECISIONS = 200_000;
/** Of a terminal, without the indentation of outputs. */
const COLUMNS = 78;

export const SIMULATE_ERRORS = {
  /** A line of a script that is no command, or one that cannot be carried out. */
  script: "WEIR_ERR_SIMULATE_SCRIPT",
} as const;

export interface ScriptOptions {
  /** Named in errors. Default: `script`. */
  readonly file?: string;
  /** A Rollout that is there already; the script does not make one up. */
  readonly world?: World;
}

/**
 * The script again, with the output that the engine gives now. Throws `script` at the line that is wrong.
 * A command may stand without its `> `; what is indented is the output of an earlier run, and left out.
 */
export function runScript(text: string, { file = "script", world: given }: ScriptOptions = {}): string {
  const out: string[] = [];
  let world: World | undefined;
  const run = (command: string, line: number): void => {
    if (out.at(-1) !== "" && out.length > 0 && !(out.at(-1) ?? "").startsWith("#")) out.push("");
    out.push(`> ${command}`);
    const [verb = "", ...words] = command.split(" ");
    try {
      if (verb === "rollout") world = given === undefined ? createWorld(words) : theGiven(given, words);
      if (verb === "experiment" && given === undefined) world ??= withoutRollout();
      if (world === undefined) throw new Error('the first command must be "rollout" or "experiment"');
      out.push(...runCommand(world, verb, words).map((shown) => `  ${shown}`));
    } catch (error) {
      throw new WeirError({
        code: SIMULATE_ERRORS.script,
        source: "user",
        message: `${file}:${line}: ${command}: ${messageOf(error)}`,
        cause: error,
      });
    }
  };
  for (const [index, line] of text.split("\n").entries()) {
    const command = line.replace(/^> /, "").trim();
    if (line.startsWith("#") || line.trim() === "") {
      if (line.trim() !== "" || out.at(-1) !== "") out.push(line.trim());
    } else if (!/^\s/.test(line)) {
      if (given !== undefined && world === undefined && !/^rollout\b/.test(command))
        run("rollout", index + 1);
      run(command, index + 1);
    }
  }
  return `${out.join("\n").trimEnd()}\n`;
}

function theGiven(world: World, words: readonly string[]): World {
  if (words.length > 0) throw new Error("the Rollout is the one of the files: `rollout` takes no words here");
  return world;
}

function runCommand(world: World, verb: string, words: readonly string[]): readonly string[] {
  if (verb === "explain")
    return explain(world.plan(), world.nowMs).flatMap((line) => wrapLine(line, COLUMNS));
  const show = SHOWS[verb];
  if (show !== undefined) return show(world, words);
  const rest = words.join(" ");
  const act: Readonly<Record<string, () => void>> = {
    rollout: () => undefined,
    image: () => editImage(world, rest),
    spec: () => world.editSpec(JSON.parse(rest)),
    scale: () => world.editSpec({ replicas: Number(rest) }),
    readiness: () => {
      world.readiness = rest === "manual" ? "manual" : "auto";
    },
    plugins: () => {
      world.plugins.names = words;
    },
    disabled: () => {
      world.plugins.disabled = words;
    },
    answer: () => world.plugins.answer(words[0] ?? "", words[1] ?? "", words.slice(2).join(" ")),
    setting: () => world.annotate(words[0] ?? "", words.slice(1).join(" ")),
    crash: () => crash(world, words[0] ?? "", Number(words[1]), Number(words[2])),
    ready: () => ready(world, words[0] === "stable" ? "stable" : "canary", Number(words[1])),
    failing: () => failing(world, words[0] === "stable" ? "stable" : "canary", words.slice(1).join(" ")),
    acking: () => {
      world.acking = rest === "manual" ? "manual" : "auto";
    },
    ack: () => world.acknowledge(),
    nack: () => world.refuse(words[0] ?? "", words.slice(1).join(" ")),
    restart: () => world.restart(),
    blocker: () => standInTheWay(world, words),
    remove: () => world.replicaSets.delete(rest),
    orphan: () => world.release(rest),
    delete: () => world.deleteRollout(),
    patchstatus: () => world.patchStatus(JSON.parse(rest)),
    workload: () => world.editWorkload(workloadManifest(words)),
    noworkload: () => world.workloads.delete(rest),
    restartpods: () => world.editSpec({ restartAt: timeText(world.nowMs + (parseDuration(rest) ?? 0)) }),
    budget: () => {
      world.disruptionBudget = Number(rest);
    },
    abort: () => world.patchStatus({ abort: true }),
    retry: () => world.patchStatus({ abort: false }),
    promote: () => promote(world, rest === "full"),
    pause: () => world.editSpec({ paused: true }),
    unpause: () => world.editSpec({ paused: null }),
    invalid: () => {
      world.errors = [rest];
    },
    valid: () => {
      world.errors = [];
    },
    services: () => words.forEach((name) => void world.add("services", serviceManifest(name))),
    template: () => world.add("templates", analysisTemplate(rest)),
    measure: () => measure(world, words),
    metric: () => answer(world, words),
    ingress: () => world.add("ingresses", ingressManifest(words[0] ?? "", words[1] ?? "")),
    annotate: () => annotate(world, words),
    balancer: () => setBalancer(world, words),
    routers: () => {
      world.areRoutersWritable = rest !== "refused";
    },
    tick: () => undefined,
    ...experimentCommands(world, words),
  };
  const command = act[verb];
  if (command === undefined) throw new Error(`unknown command${didYouMean(verb, Object.keys(act))}`);
  command();
  return verb === "tick" ? tick(world, durationOf(rest)) : settle(world);
}

/** `metric errors 0.02`: what its provider answers from now on. */
function answer(world: World, [name = "", ...words]: readonly string[]): void {
  const templates = [...world.templates.values(), ...world.clusterTemplates.values()];
  const known = templates.flatMap((template) =>
    (readAnalysisTemplate(template).value.spec.metrics ?? []).map((metric) => metric.name),
  );
  if (!known.includes(name))
    throw new Error(`no template has a metric ${name}; there are: ${known.join(", ")}`);
  world.answers.set(name, answerFrom(words.join(" ")));
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

function durationOf(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined || durationMs < 0) throw new Error(`${text} is no duration such as 30s or 2h`);
  return durationMs;
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

/** A time as users write it. */
function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace(".000Z", "Z");
}

/** As the published kubectl plugin does it. */
function promote(world: World, isFull: boolean): void {
  const { pauseConditions, canary, currentStepIndex = 0, currentPodHash, stableRS } = world.status();
  if (isFull) {
    if (currentPodHash !== stableRS) world.patchStatus({ promoteFull: true });
  } else if (canary?.currentStepAnalysisRunStatus?.status === "Inconclusive") {
    const next = { pauseConditions: null, controllerPause: false, currentStepIndex: currentStepIndex + 1 };
    world.patchStatus(next);
  } else if ((pauseConditions ?? []).length > 0) world.patchStatus({ pauseConditions: null });
  else world.patchStatus({ currentStepIndex: currentStepIndex + 1 });
}

function ready(world: World, role: "stable" | "canary", count: number): void {
  const replicaSet = world.roleOf(role);
  if (replicaSet === undefined) throw new Error(`there is no ${role} ReplicaSet`);
  world.setReady(replicaSet.metadata.name, count);
}

/** `crash canary 0 3`: the first pod's container has ended, three times in all. The pod is no longer ready. */
function crash(world: World, role: string, index: number, restarts: number): void {
  const replicaSet = world.roleOf(role === "stable" ? "stable" : "canary");
  const pods = world.podsOf(replicaSet?.metadata.name ?? "");
  const pod = pods[index];
  if (replicaSet === undefined || pod === undefined) throw new Error(`there is no pod ${index} of ${role}`);
  world.crashPod(pod.metadata.name, restarts);
}

/** `balancer shop web-canary=20 web-stable=80`: from now on load balancers are asked, and this one says so. */
function setBalancer(world: World, [name = "", ...weights]: readonly string[]): void {
  const ingress = world.ingresses.get(name);
  if (ingress === undefined) throw new Error(`there is no Ingress ${name}`);
  const made = balancerOf(ingress, weights);
  world.add("ingresses", made.ingress);
  world.balancers = new Map([...(world.balancers ?? []), [made.dnsName, made.balancer]]);
}

/** `annotate shop key=value`: somebody else's hand on an Ingress. */
function annotate(world: World, [name = "", ...words]: readonly string[]): void {
  const ingress = world.ingresses.get(name);
  if (ingress === undefined) throw new Error(`there is no Ingress ${name}`);
  const [key = "", value = ""] = words.join(" ").split(/=(.*)/s);
  const annotations = { ...ingress.metadata.annotations, [key]: value };
  world.add("ingresses", { ...ingress, metadata: { ...ingress.metadata, annotations } });
}

/** A ReplicaSet that cannot create its pods; without words it can again. */
function failing(world: World, role: "stable" | "canary", message: string): void {
  const replicaSet = world.roleOf(role);
  if (replicaSet === undefined) throw new Error(`there is no ${role} ReplicaSet`);
  world.setReplicaFailure(replicaSet.metadata.name, message === "" ? undefined : message);
}

function measure(world: World, words: readonly string[]): void {
  const [kind, phase = "", ...message] = words;
  const { canary, blueGreen } = world.status();
  const refs: Readonly<Record<string, { readonly name: string } | undefined>> = {
    step: canary?.currentStepAnalysisRunStatus,
    background: canary?.currentBackgroundAnalysisRunStatus,
    pre: blueGreen?.prePromotionAnalysisRunStatus,
    post: blueGreen?.postPromotionAnalysisRunStatus,
  };
  world.setRun(refs[kind ?? ""]?.name ?? "", phase, message.length === 0 ? undefined : message.join(" "));
}

function settle(world: World): readonly string[] {
  const shown: string[] = [];
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const plan = world.hasRollout ? world.plan() : undefined;
    if (plan !== undefined) shown.push(...describe(world, plan));
    const hasWritten = plan !== undefined && world.apply(plan);
    const experiments = passExperiments(world);
    shown.push(...experiments.lines);
    if (!world.runReplicaSets() && !world.measure() && !hasWritten && !experiments.hasWritten)
      return [...shown, ...(plan === undefined ? [] : state(world, plan)), ...experimentStates(world)];
  }
  throw new Error("does not come to rest");
}

function tick(world: World, durationMs: number): readonly string[] {
  const untilMs = world.nowMs + durationMs;
  const shown: string[] = [];
  for (let dueMs = world.dueMs(); dueMs <= untilMs; dueMs = world.dueMs()) {
    if (world.decisions > MAX_DECISIONS)
      throw new Error(`more than ${MAX_DECISIONS} decisions: let less time pass`);
    world.nowMs = Math.max(world.nowMs, dueMs);
    shown.push(...settle(world).filter((line) => !/^(?:=|~|waits)/.test(line)));
  }
  world.nowMs = untilMs;
  return [...shown, ...settle(world)];
}

/** What a plan changes; nothing for a plan that changes nothing. */
function describe(world: World, plan: Plan): readonly string[] {
  const lines = plan.explanation.does.map((text) => `- ${text}`);
  if (plan.traffic !== undefined && !jsonEqual(plan.traffic, world.published)) {
    lines.push(`- publish: ${intentWords(plan.traffic)}`);
  }
  const writes = world.routerWrites(plan);
  lines.push(...writes.map(({ verb, name }) => `- ${verb} Ingress ${name.name}`));
  const events = withRouterEvents(
    plan.events,
    writes.map(({ event }) => event),
  );
  for (const { name, operation, index, execution } of world.plugins.unasked(plan.calls ?? []))
    lines.push(`- call ${name} ${operation}: step ${index + 1}, call ${execution}`);
  lines.push(...events.map(({ reason, message }) => `! ${reason}: ${message}`));
  lines.push(...plan.warnings.map((warning) => `? ${warning}`));
  return lines;
}

function state(world: World, plan: Plan): readonly string[] {
  const { phase, message, step, versions, waits } = plan.explanation;
  const time = new Date(world.nowMs).toISOString().slice(11, 19);
  const at = step === undefined ? "" : `, step ${step.index}/${step.count}`;
  const pods = versions.map(({ role, available, desired, weight }) => {
    const share = weight === undefined ? "" : ` ${weight}%`;
    return `${role} ${available}/${desired}${share}`;
  });
  return [
    `= ${time} ${phase}${message === "" ? "" : ` (${message})`}${at}, ${pods.join(", ")}`,
    ...waits.map(({ text }) => `waits: ${text}`),
    ...unanswered(world),
  ];
}

function intentWords({ versions, routes = [], rootService, stableService }: TrafficIntent): string {
  const split = versions.map(({ role, podHash, weight }) => `${role} ${podHash} ${weight}`);
  const managed = routes.map(({ kind, name }) => `${kind} route ${name}`);
  const service = rootService === undefined ? [] : [`stable is ${stableService}`];
  return [...split, ...managed, ...service].join(", ");
}

/** A world in which only Experiments happen. */
function withoutRollout(): World {
  const world = worldWith({});
  world.hasRollout = false;
  return world;
}

function createWorld(words: readonly string[]): World {
  const options = new Map<string, string>();
  for (const word of words) {
    const [key = "", value = ""] = word.split(/=(.*)/s);
    options.set(key, value);
  }
  const steps = (options.get("steps") ?? "").split(",").filter((text) => text !== "");
  const canary = options.get("canary");
  const blueGreen = options.get("bluegreen");
  const spec = options.get("spec");
  const trafficRouting = routingFrom(options);
  const settings = canary === undefined ? {} : JSON.parse(canary);
  const world = worldWith({
    replicas: Number(options.get("replicas") ?? 1),
    isRouted: options.has("routed") || options.has("pingpong") || trafficRouting !== undefined,
    isPingPong: options.has("pingpong"),
    routing: managedFrom(options),
    steps: steps.map(stepFrom),
    canary:
      trafficRouting === undefined
        ? settings
        : { trafficRouting: { ...trafficRouting, ...managedFrom(options) }, ...settings },
    ...(blueGreen === undefined ? {} : { blueGreen: JSON.parse(blueGreen === "" ? "{}" : blueGreen) }),
    ...(spec === undefined ? {} : { spec: JSON.parse(spec) }),
  });
  for (const router of ["nginx", "alb"])
    if (options.has(router)) world.add("ingresses", ingressManifest(options.get(router) ?? "", "web-stable"));
  const argo = options.get("argo");
  if (argo !== undefined) takeOverFrom(world, argo);
  const ref = options.get("ref");
  if (ref !== undefined) world.editSpec(referencePatch(ref));
  if (options.get("readiness") === "manual") world.readiness = "manual";
  return world;
}

/**
 * `20`, `pause`, `pause:30s`, `analysis:name`, `scale:3` (pods), `scale:25%` (share), `scale:match`, `plugin:name`, `header:name:X-Group=b` (or
 * `header:name` to remove it), `mirror:name:20` (percent of all).
 */
function stepFrom(text: string): unknown {
  const [kind = "", value, rest] = text.split(":");
  if (kind === "pause") return { pause: value === undefined ? {} : { duration: value } };
  if (kind === "analysis") return { analysis: { templates: [{ templateName: value }] } };
  if (kind === "plugin") return { plugin: { name: value ?? "" } };
  if (kind === "scale") return { setCanaryScale: scaleFrom(value) };
  if (kind === "header" || kind === "mirror") return routeStep(kind, value ?? "", rest);
  return { setWeight: Number(kind) };
}

function scaleFrom(text = ""): unknown {
  if (text === "match") return { matchTrafficWeight: true };
  return text.endsWith("%") ? { weight: Number(text.slice(0, -1)) } : { replicas: Number(text) };
}

/** `routes=beta,copies` names the managed routes, `max=1000` the sum of weights. */
function managedFrom(options: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  const names = options.get("routes")?.split(",");
  const max = options.get("max");
  return {
    ...(names && { managedRoutes: names.map((name) => ({ name })) }),
    ...(max !== undefined && { maxTrafficWeight: Number(max) }),
  };
}

function routeStep(kind: "header" | "mirror", name: string, of: string | undefined): unknown {
  if (kind === "mirror") {
    const match = [{ path: { prefix: "/" } }];
    const set = of === undefined ? {} : { match, percentage: Number(of) };
    return { setMirrorRoute: { name, ...set } };
  }
  const [headerName, exact] = (of ?? "").split("=");
  const set = of === undefined ? {} : { match: [{ headerName, headerValue: { exact } }] };
  return { setHeaderRoute: { name, ...set } };
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
