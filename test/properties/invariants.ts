// What holds of every pass, whatever was before it: design invariants, checked on the plan before it is carried out.
import type { TrafficIntent } from "../../src/api/api.ts";
import { DEFAULT_ENGINE_CONFIG, type Plan } from "../../src/engine/decide.ts";
import { jsonEqual } from "../../src/lib/json.ts";
import { diffMergePatch } from "../../src/lib/patch.ts";
import { replicaSetView, type World } from "../support/world.ts";

/** Reconciles until nothing changes, every pass checked (`check` gives the plan); then nothing is left to do. */
export function settleChecked(world: World, check: (world: World) => Plan = checked): void {
  for (let pass = 0; pass < 60; pass += 1) {
    const plan = check(world);
    const hasWritten = world.apply(plan);
    if (world.runReplicaSets() || hasWritten) continue;
    equal(plan.events, [], "a plan without effect has events");
    equal(plan.status, world.rollout.status, "a settled status changes");
    return;
  }
  throw new Error(`does not come to rest: ${JSON.stringify(world.plan().explanation, null, 1)}`);
}

export function checked(world: World): Plan {
  const plan = world.plan();
  checkWeights(world, plan);
  checkRoutes(world, plan);
  checkScaling(world, plan);
  checkBounds(world, plan);
  checkServices(world, plan);
  checkSteps(world, plan);
  checkForm(world, plan);
  return plan;
}

/** Of any plan: it looks again later than now, and writes to each object once. */
export function checkForm(world: World, plan: Plan): void {
  if (plan.requeueAtMs !== undefined && plan.requeueAtMs <= world.nowMs)
    throw new Error("a requeue in the past");
  const names = plan.actions.map(
    (action) => `${action.kind.replace(/^(scale|annotate)/, "")} ${action.name}`,
  );
  if (new Set(names).size !== names.length) throw new Error(`two writes to one object: ${names.join(", ")}`);
}

/** The weights sum to the maximum, and none rises for a version without the pods for it. */
function checkWeights(world: World, plan: Plan): void {
  if (plan.traffic === undefined) return;
  const { versions, maxWeight } = plan.traffic;
  equal(
    versions.reduce((sum, { weight }) => sum + weight, 0),
    maxWeight,
    "the weights do not sum to the maximum",
  );
  const before = world.status().canary?.weights;
  const replicas = Number(specOf(world).replicas);
  for (const { podHash, weight, role } of versions) {
    if (before === undefined || replicas === 0) continue;
    const last = before.stable.podTemplateHash === podHash ? before.stable : before.canary;
    const was = last.podTemplateHash === podHash ? last.weight : 0;
    // The last weights may be parts of another maximum; what is no whole part of this one is stable's.
    const all = [before.canary, before.stable, ...(before.additional ?? [])];
    const kept = (was * maxWeight) / all.reduce((sum, one) => sum + one.weight, 0);
    if (weight <= (role === "stable" ? Math.ceil(kept) : kept)) continue;
    // Who sets a threshold, or sizes the canary himself, takes fewer pods for enough.
    const { replicaProgressThreshold, steps = [] } = Object(Object(specOf(world).strategy).canary);
    const isWhole = replicaProgressThreshold === undefined && !isSizedByHand(steps, plan);
    const needed = role === "canary" && isWhole ? Math.ceil((weight * replicas) / maxWeight) : 1;
    if (availableOf(world, podHash) < needed) throw new Error(`${role} rises to ${weight} without pods`);
    const isKnown = world.acknowledgement.kind === "yes" && world.published !== undefined;
    if (role === "canary" && !isKnown)
      throw new Error(`the canary rises to ${weight} while proxies are silent`);
  }
}

/** Whether a setCanaryScale other than matchTrafficWeight governs the step that the plan arrives at. */
function isSizedByHand(steps: readonly object[], { status, explanation }: Plan): boolean {
  const done = steps.slice(0, (status.currentStepIndex ?? 0) + 1);
  const last = done.findLast((step) => "setCanaryScale" in step);
  const isMatching = Object(Object(last).setCanaryScale).matchTrafficWeight === true;
  return explanation.planner === "steps" && last !== undefined && !isMatching;
}

/** A header route leads to a canary with available pods alone, and its last pods go after every proxy has forgotten it. */
function checkRoutes(world: World, plan: Plan): void {
  const leads = (intent: typeof plan.traffic): string | undefined =>
    intent?.routes?.some(({ kind }) => kind === "header") === true
      ? intent.versions.find(({ role }) => role === "canary")?.podHash
      : undefined;
  const led = leads(plan.traffic);
  // A spec that is being mended leaves what was published in force.
  if (led !== undefined && availableOf(world, led) === 0 && plan.explanation.planner === "steps")
    throw new Error(`a header route leads to ${led}, which has no available pod`);
  if (plan.traffic?.routes !== undefined && plan.explanation.planner !== "steps")
    throw new Error(`routes are in force under ${plan.explanation.planner}`);
  // A user who wants no pods at all gets none.
  const isWanted = Number(specOf(world).replicas) > 0;
  for (const action of plan.actions) {
    if (action.kind !== "scaleReplicaSet" || action.replicas > 0 || !isWanted) continue;
    if (mayBeInForce(world).some((intent) => leads(intent) === action.name.replace(/^web-/, "")))
      throw new Error(`${action.name} goes while a header route leads to it`);
  }
}

/** No pods go that a proxy may still send to, but for the user's own scaling and the bound of the wait. */
function checkScaling(world: World, plan: Plan): void {
  const replicas = Number(specOf(world).replicas);
  const intents = mayBeInForce(world);
  for (const action of plan.actions) {
    if (action.kind !== "scaleReplicaSet" || action.replicas >= action.from || plan.traffic === undefined)
      continue;
    const hash = action.name.replace(/^web-/, "");
    for (const intent of intents) {
      const weight = intent.versions.find((version) => version.podHash === hash)?.weight ?? 0;
      const needed = Math.ceil((weight * replicas) / intent.maxWeight);
      if (action.replicas < needed)
        throw new Error(`${action.name} to ${action.replicas} with weight ${weight}`);
    }
  }
}

/** Without a router: no pass takes available pods below the minimum, or asks for pods above the surge. */
function checkBounds(world: World, plan: Plan): void {
  if (plan.traffic !== undefined || isBlueGreen(world)) return;
  const replicas = Number(specOf(world).replicas);
  const surge = Math.ceil(replicas / 4);
  const minAvailable = replicas - (surge === 0 ? 1 : Math.floor(replicas / 4));
  const sizes = [...world.replicaSets.values()].map((object) => {
    const { metadata, spec, status } = replicaSetView(object);
    const action = plan.actions.find(
      (item) => item.kind === "scaleReplicaSet" && item.name === metadata.name,
    );
    const after = action?.kind === "scaleReplicaSet" ? action.replicas : (spec.replicas ?? 1);
    return { before: spec.replicas ?? 1, after, available: status.availableReplicas ?? 0 };
  });
  const sum = (count: (size: (typeof sizes)[number]) => number): number =>
    sizes.reduce((total, size) => total + count(size), 0);
  const availableBefore = sum(({ before, available }) => Math.min(before, available));
  const availableAfter = sum(({ after, available }) => Math.min(after, available));
  if (availableAfter < Math.min(minAvailable, availableBefore))
    throw new Error(
      `${availableAfter} pods stay available, of ${availableBefore}, with a minimum of ${minAvailable}`,
    );
  const asked = sum(({ after }) => after);
  if (
    asked >
    Math.max(
      replicas + surge,
      sum(({ before }) => before),
    )
  )
    throw new Error(`${asked} pods are asked for, with ${replicas} wanted and a surge of ${surge}`);
}

/** What some proxy may follow; nothing where none does, and once silent ones have had their time. */
function mayBeInForce(world: World): readonly TrafficIntent[] {
  const { inForce, published } = world;
  const { acknowledgement } = world.snapshot().traffic;
  const isOverdue =
    acknowledgement.kind === "no" &&
    world.nowMs >= acknowledgement.sinceMs + DEFAULT_ENGINE_CONFIG.nodeGraceMs;
  if (isOverdue || acknowledgement.kind === "notApplicable") return [];
  return [inForce, published].filter((intent) => intent !== undefined);
}

/** A version that a proxy may send to stays selected by one of the Services, so that its endpoints are known. */
function checkServices(world: World, plan: Plan): void {
  // Nobody is served by no pods; and a blue-green version keeps its endpoints in the proxies when its Service has moved on.
  if (specOf(world).replicas === 0 || isBlueGreen(world)) return;
  const before = selectedOf(world);
  const after = selectedOf(world);
  for (const action of plan.actions) if (action.kind === "selectPods") after.set(action.name, action.podHash);
  for (const intent of mayBeInForce(world)) {
    for (const { podHash, weight } of intent.versions) {
      const wasSelected = [...before.values()].includes(podHash);
      if (weight > 0 && wasSelected && ![...after.values()].includes(podHash))
        throw new Error(`no Service selects ${podHash} any more, with weight ${weight}`);
    }
  }
  const rising = plan.traffic?.versions.find(({ role, weight }) => role === "canary" && weight > 0);
  if (rising !== undefined && ![...after.values()].includes(rising.podHash))
    throw new Error(`no Service selects the canary ${rising.podHash}`);
}

function selectedOf(world: World): Map<string, unknown> {
  const selectorOf = (spec: unknown): unknown => Object(Object(spec).selector)["rollouts-pod-template-hash"];
  return new Map([...world.services].map(([name, service]) => [name, selectorOf(service.spec)]));
}

/** Within a revision the step index only grows, unless an abort takes it back or the steps are others. */
function checkSteps(world: World, plan: Plan): void {
  const before = world.status();
  const isSame =
    before.currentPodHash === plan.status.currentPodHash &&
    before.currentStepHash === plan.status.currentStepHash;
  if (!isSame || plan.status.abort === true || before.currentStepIndex === undefined) return;
  if ((plan.status.currentStepIndex ?? 0) < before.currentStepIndex)
    throw new Error(`the step went back from ${before.currentStepIndex} to ${plan.status.currentStepIndex}`);
}

function isBlueGreen(world: World): boolean {
  return Object(specOf(world).strategy).blueGreen !== undefined;
}

function availableOf(world: World, podHash: string): number {
  const replicaSet = world.replicaSets.get(`web-${podHash}`);
  return replicaSet === undefined ? 0 : (replicaSetView(replicaSet).status.availableReplicas ?? 0);
}

function specOf(world: World): Readonly<Record<string, unknown>> {
  // The manifest that newWorld made has a spec.
  return world.rollout.spec as Readonly<Record<string, unknown>>;
}

export function equal(actual: unknown, expected: unknown, what: string): void {
  if (jsonEqual(actual, expected)) return;
  const [here, there] = [diffMergePatch(expected, actual), diffMergePatch(actual, expected)];
  throw new Error(`${what}: ${JSON.stringify(here)} instead of ${JSON.stringify(there)}`);
}
