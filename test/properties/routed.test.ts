// What holds for every history of a canary that other routers serve: versions, users, pods, hands on the Ingresses, an API that refuses writes,
// crashes after any part of a plan. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import { imagePatch } from "../../src/simulate/manifest.ts";
import { ingressManifest } from "../../src/simulate/routing.ts";
import { type World, worldWith } from "../support/world.ts";
import { HISTORY_OPTIONS } from "./options.ts";

type Act =
  | { readonly kind: "image"; readonly tag: number }
  | { readonly kind: "drift"; readonly weight: number }
  | { readonly kind: "crash"; readonly writes: number }
  | { readonly kind: "writable" | "ready"; readonly isOn: boolean }
  | { readonly kind: "abort" | "retry" | "promote" | "promoteFull" | "restart" | "pass" | "settle" | "lost" };

const WEIGHT = "nginx.ingress.kubernetes.io/canary-weight";
const ACTION = "alb.ingress.kubernetes.io/actions.web-stable";

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant("image" as const), tag: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant("drift" as const), weight: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ kind: fc.constant("crash" as const), writes: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: fc.constantFrom("writable" as const, "ready" as const), isOn: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom(
      ...(["abort", "retry", "promote", "promoteFull", "restart", "pass", "settle", "lost"] as const),
    ),
  }),
);

test("routed: in every history the objects come to hold what the status says, and Healthy is never said before", (t) => {
  const property = fc.property(fc.array(act, { maxLength: 25 }), (history) => {
    const world = newWorld();
    for (const one of history) {
      perform(world, one);
      checkHealthy(world);
    }
    world.areRoutersWritable = true;
    world.readiness = "auto";
    const plan = world.settle();
    const { weights, canary } = heldBy(world);
    const claimed = world.status().canary?.weights?.canary.weight ?? 0;
    if (weights !== claimed || canary !== claimed)
      throw new Error(`nginx ${weights}, alb ${canary}, the status says ${claimed}`);
    if (world.status().abort === true && claimed !== 0)
      throw new Error("aborted, but the canary has traffic");
    if (world.routerWrites(plan).length > 0) throw new Error("not at rest");
  });
  t.doesNotThrow(() => fc.assert(property, HISTORY_OPTIONS));
  t.end();
});

function newWorld(): World {
  const trafficRouting = { nginx: { stableIngress: "shop" }, alb: { ingress: "edge", servicePort: 80 } };
  const steps = [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: { duration: 10 } }];
  const world = worldWith({ replicas: 3, isRouted: true, steps, canary: { trafficRouting } });
  for (const name of ["shop", "edge"]) world.add("ingresses", ingressManifest(name, "web-stable"));
  return world;
}

function perform(world: World, one: Act): void {
  switch (one.kind) {
    case "image":
      return void world.editSpec(imagePatch(`web:${one.tag}`));
    case "drift":
      return void drift(world, one.weight);
    case "crash":
      return void world.apply(world.plan(), one.writes);
    case "writable":
      world.areRoutersWritable = one.isOn;
      return;
    case "ready":
      world.readiness = one.isOn ? "auto" : "manual";
      return;
    case "abort":
    case "retry":
      return void world.patchStatus({ abort: one.kind === "abort" });
    case "promote":
      return void world.patchStatus({ pauseConditions: null });
    case "promoteFull":
      return void world.patchStatus({ promoteFull: true });
    case "restart":
      return void world.restart();
    case "lost":
      return void world.ingresses.delete("web-shop-canary");
    case "pass":
      world.apply(world.plan());
      return void world.runReplicaSets();
    case "settle":
      return void world.settle();
  }
}

/** Another hand on both Ingresses. */
function drift(world: World, weight: number): void {
  for (const [name, key, value] of [
    ["web-shop-canary", WEIGHT, String(weight)],
    ["edge", ACTION, `{"Weight":${weight}}`],
  ] as const) {
    const ingress = world.ingresses.get(name);
    if (ingress === undefined) continue;
    const annotations = { ...ingress.metadata.annotations, [key]: value };
    world.add("ingresses", { ...ingress, metadata: { ...ingress.metadata, annotations } });
  }
}

/** A pass that finds the objects other than it decides never says Healthy. */
function checkHealthy(world: World): void {
  const plan = world.plan();
  if (plan.status.phase !== "Healthy") return;
  const { weights, canary } = heldBy(world);
  const claimed = plan.status.canary?.weights?.canary.weight;
  if (weights !== claimed || canary !== claimed)
    throw new Error(`Healthy at ${claimed}, but nginx has ${weights} and alb ${canary}`);
}

/** The canary's weight in nginx's Ingress and in alb's action. */
function heldBy(world: World): { readonly weights: number | undefined; readonly canary: number | undefined } {
  const nginx = world.ingresses.get("web-shop-canary")?.metadata.annotations?.[WEIGHT];
  const action = JSON.parse(world.ingresses.get("edge")?.metadata.annotations?.[ACTION] ?? "{}");
  return {
    weights: nginx === undefined ? undefined : Number(nginx),
    canary: action.ForwardConfig?.TargetGroups?.[0]?.Weight,
  };
}
