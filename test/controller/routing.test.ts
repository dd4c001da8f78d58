// The objects of routers beside weir's own: what is written when a write fails, and what is said where there are no such objects at all.
import { test } from "tap";
import { CLUSTER_RESOURCES, type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../../src/cluster/client.ts";
import { createFreshness } from "../../src/controller/freshness.ts";
import { createRouterTroubles, writeRouters } from "../../src/controller/routing.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { WeirError } from "../../src/lib/errors.ts";
import { silentLogger } from "../../src/lib/log.ts";
import type { RouterPatch } from "../../src/routers/routers.ts";
import { controllerBed } from "./bed.ts";

const KEY = "shop/web";

test("routing: writes go in order up to the first that fails, and the API's words are kept until it takes one", async (t) => {
  const refusal = new WeirError({ code: CLUSTER_ERRORS.forbidden, message: "ingresses is forbidden" });
  const { write, troubles, written } = scene();
  const first = await write([patchOf("nginx", "a"), patchOf("alb", "b"), patchOf("alb", "c")], refusal);
  t.equal(first.error, refusal);
  t.strictSame(first.events, [{ reason: "Patching", message: "a" }], "only what was done is told");
  t.strictSame(written, ["a"]);
  t.equal(troubles.of(KEY, "alb"), "ingresses is forbidden");
  t.equal(troubles.of(KEY, "nginx"), undefined);
  const second = await write([patchOf("alb", "b2")]);
  t.strictSame([second.error, second.events.length, troubles.of(KEY, "alb")], [undefined, 1, undefined]);
});

test("routing: a conflict is nobody's trouble", async (t) => {
  const conflict = new WeirError({ code: CLUSTER_ERRORS.conflict, message: "the object has been modified" });
  const { write, troubles } = scene();
  t.equal((await write([patchOf("alb", "b")], conflict)).error, conflict);
  t.equal(troubles.of(KEY, "alb"), undefined);
});

test("routing: on a server without Ingresses a Rollout with nginx or alb is invalid, and says why", {
  timeout: 60_000,
}, async (t) => {
  const bed = await controllerBed(t);
  await bed.lead();
  const routed = (trafficRouting: unknown) =>
    bed.patch(RESOURCES.rollout, "web", { spec: { strategy: { canary: { trafficRouting } } } });
  await routed({ plugins: null, nginx: { stableIngress: "shop" } });
  const words = (router: string) =>
    `InvalidSpec: The Rollout "web" is invalid: spec.strategy.canary.trafficRouting.${router}: Invalid value: "${router}": this API server has no ingresses.networking.k8s.io that the controller may read; routers other than weir's own need a Kubernetes cluster`;
  await bed.untilRollout("invalid with nginx", ({ status }) => status.message === words("nginx"));
  await routed({ nginx: null, alb: { ingress: "shop", servicePort: 80 } });
  await bed.untilRollout("invalid with alb", ({ status }) => status.message === words("alb"));
  await routed({ alb: null, plugins: { "weir.dev/proxy": {} } });
  await bed.untilRollout("valid again", ({ status }) => !(status.message ?? "").includes("InvalidSpec"));
});

function scene() {
  const written: string[] = [];
  let failure: WeirError | undefined;
  const patch = async (_type: unknown, { name }: { readonly name: string }): Promise<KubeObject> => {
    if (failure !== undefined && name === "b") throw failure;
    written.push(name);
    return { apiVersion: "v1", kind: "Ingress", metadata: { name, resourceVersion: "8" } };
  };
  const troubles = createRouterTroubles();
  // Only `patch` is called for patches.
  const client = { patch } as unknown as ClusterClient;
  const deps = { client, clock: systemClock, log: silentLogger, freshness: createFreshness(), troubles };
  return {
    written,
    troubles,
    write(patches: readonly RouterPatch[], error?: WeirError) {
      failure = error;
      return writeRouters(deps, KEY, patches, () => AbortSignal.timeout(1000));
    },
  };
}

function patchOf(router: string, name: string): RouterPatch {
  const event = { reason: "Patching", message: name };
  return {
    verb: "patch",
    router,
    name: { type: CLUSTER_RESOURCES.ingress, namespace: "shop", name },
    event,
    body: {},
  };
}
