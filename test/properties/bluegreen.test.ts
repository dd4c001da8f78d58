// What holds for every history of a blue-green Rollout: other versions and settings, pods that come and go, acknowledgements, user actions,
// analyses, time, restarts and crashes after any part of a plan, in any order. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import type { Plan } from "../../src/engine/decide.ts";
import { replicaSetView, type World } from "../support/world.ts";
import { crashOfConverges } from "./ends.ts";
import { type History, histories, play, worldOf } from "./histories.ts";
import { checkForm, equal, settleChecked } from "./invariants.ts";
import { HISTORY_OPTIONS } from "./options.ts";

const ANALYSIS = { templates: [{ templateName: "errors" }] };

/** Takes all that a strategy may have away, so that the settings of another history are its own. */
const NOTHING = {
  previewReplicaCount: null,
  autoPromotionEnabled: null,
  autoPromotionSeconds: null,
  prePromotionAnalysis: null,
  postPromotionAnalysis: null,
  scaleDownDelaySeconds: null,
  scaleDownDelayRevisionLimit: null,
  abortScaleDownDelaySeconds: null,
};
const settings = fc.record(
  {
    previewReplicaCount: fc.integer({ min: 0, max: 3 }),
    autoPromotionEnabled: fc.boolean(),
    autoPromotionSeconds: fc.integer({ min: 0, max: 20 }),
    prePromotionAnalysis: fc.constant(ANALYSIS),
    postPromotionAnalysis: fc.constant(ANALYSIS),
    scaleDownDelaySeconds: fc.integer({ min: 0, max: 40 }),
    scaleDownDelayRevisionLimit: fc.integer({ min: 0, max: 2 }),
    abortScaleDownDelaySeconds: fc.integer({ min: 0, max: 40 }),
  },
  { requiredKeys: [] },
);

/** The strategy gets other settings on the way. */
interface Resettled {
  readonly kind: "settings";
  readonly blueGreen: Readonly<Record<string, unknown>>;
}
const history = histories<Resettled>(
  "blueGreen",
  settings.map((chosen) => ({ kind: "settings", blueGreen: { ...NOTHING, ...chosen } })),
);

for (const isRouted of [false, true]) {
  const name = isRouted ? "on proxies" : "without proxies";

  test(`properties: every pass of a blue-green Rollout ${name} keeps the invariants, and it comes to rest`, async (t) => {
    fc.assert(
      fc.property(history, (one) => {
        const world = lived(isRouted, one);
        settleChecked(world, checked);
      }),
      HISTORY_OPTIONS,
    );
    t.pass("no history broke them");
  });

  test(`properties: a crash of a blue-green pass ${name} leads to the same end`, async (t) => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 8 }), (one, writes) => {
        crashOfConverges(lived(isRouted, one), writes);
      }),
      HISTORY_OPTIONS,
    );
    t.pass("every crash converged");
  });
}

test("properties: an abort of a blue-green Rollout ends with the stable version active", async (t) => {
  fc.assert(
    fc.property(history, (one) => {
      // Without a stable version there is none to go back to.
      const world = lived(true, { ...one, isWarm: true });
      Object.assign(world, { readiness: "auto", acking: "auto" });
      world.acknowledge();
      world.editSpec({ paused: null });
      world.settle();
      world.patchStatus({ abort: true, promoteFull: null });
      world.settle();
      world.advance(120_000);
      const { blueGreen, stableRS } = world.status();
      equal(activeOf(world), stableRS, "the active Service is elsewhere");
      equal(blueGreen?.activeSelector, stableRS, "the status says otherwise");
    }),
    HISTORY_OPTIONS,
  );
  t.pass("every abort ended there");
});

/** The world after the history. */
function lived(isRouted: boolean, { events, ...start }: History<Resettled>): World {
  const world = worldOf({ ...start, shape: { ...start.shape, isRouted } });
  for (const event of events) {
    if (event.kind === "settings") world.editSpec({ strategy: { blueGreen: event.blueGreen } });
    else play(world, event, checked);
  }
  return world;
}

function checked(world: World): Plan {
  const plan = world.plan();
  checkSwitch(world, plan);
  checkScaling(world, plan);
  checkPromotion(world, plan);
  checkForm(world, plan);
  return plan;
}

/** The active Service goes to a whole version; back to stable, by an abort or because stable is wanted again, to one that has any pod. */
function checkSwitch(world: World, plan: Plan): void {
  const replicas = replicasOf(world);
  for (const action of plan.actions) {
    if (action.kind !== "selectPods" || action.name !== "web-active") continue;
    const { available, desired } = sizeOf(world, action.podHash);
    const isBack = plan.status.abort === true || action.podHash === world.status().stableRS;
    const needed = isBack ? Math.min(1, replicas) : replicas;
    if (available < needed) throw new Error(`switched to ${available} of ${needed} pods`);
    if (!isBack && desired !== replicas) throw new Error(`switched to ${desired} pods`);
  }
}

/** No version that has the traffic shrinks below what is wanted, and none goes to which a proxy may still send in time. */
function checkScaling(world: World, plan: Plan): void {
  const { acknowledgement, inForce, published } = world;
  const isOverdue = acknowledgement.kind === "no" && world.nowMs >= acknowledgement.sinceMs + 30_000;
  for (const action of plan.actions) {
    if (action.kind !== "scaleReplicaSet" || action.replicas >= action.from) continue;
    const hash = action.name.replace(/^web-/, "");
    const isInUse = hash === activeOf(world) || hash === world.status().stableRS;
    if (isInUse && action.replicas < replicasOf(world))
      throw new Error(`${action.name} is in use and shrinks to ${action.replicas}`);
    for (const intent of isOverdue || !world.isBlueGreenRouted ? [] : [inForce, published]) {
      const weight = intent?.versions.find((version) => version.podHash === hash)?.weight ?? 0;
      if (weight > 0 && action.replicas < replicasOf(world))
        throw new Error(`${action.name} to ${action.replicas} while proxies may send to it`);
    }
  }
}

/** A version that replaces another as the stable one has the traffic: of the Service, and of every proxy. */
function checkPromotion(world: World, plan: Plan): void {
  const before = world.status().stableRS;
  const after = plan.status.stableRS;
  if (before === undefined || after === before || activeOf(world) === "") return;
  const action = plan.actions.find(({ kind, name }) => kind === "selectPods" && name === "web-active");
  const active = action?.kind === "selectPods" ? action.podHash : activeOf(world);
  equal(active, after, "the stable version is not the active one");
  if (!world.isBlueGreenRouted) return;
  const isKnown = world.acknowledgement.kind === "yes" && world.published !== undefined;
  if (!isKnown) throw new Error("promoted while proxies are silent");
}

function activeOf(world: World): string {
  const { selector } = Object(world.services.get("web-active")?.spec);
  return String(Object(selector)["rollouts-pod-template-hash"] ?? "");
}

function replicasOf(world: World): number {
  return Number(Object(world.rollout.spec).replicas);
}

function sizeOf(world: World, podHash: string): { readonly desired: number; readonly available: number } {
  const object = world.replicaSets.get(`web-${podHash}`);
  if (object === undefined) return { desired: 0, available: 0 };
  const { spec, status } = replicaSetView(object);
  return { desired: spec.replicas ?? 1, available: status.availableReplicas ?? 0 };
}
