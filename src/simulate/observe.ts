// The snapshot that a pass over the model's Rollout decides from: what the controller would see in its caches.
import { canaryServicesOf, resolveWorkload, WEIR_ROUTER, withDecodableTemplate } from "../api/api.ts";
import { DEFAULT_ENGINE_CONFIG, type Snapshot } from "../engine/decide.ts";
import { observeRouters } from "../routers/routers.ts";
import { registrationsIn } from "./routing.ts";
import type { World } from "./world.ts";

/** What is there now. */
export function observe(world: World): Snapshot {
  const { views } = world;
  const held = views.rollout(world.rollout);
  const { rollout, raw, checked, reference } = resolveWorkload(world.rollout, held, (type, name) =>
    world.workloads.get(`${type.kind}/${name}`),
  );
  const { canary, blueGreen } = rollout.spec.strategy ?? {};
  const names = canaryServicesOf(rollout);
  const isRouted =
    blueGreen === undefined
      ? canary?.trafficRouting?.plugins?.[WEIR_ROUTER] !== undefined
      : world.isBlueGreenRouted;
  const routers = observeRouters(rollout, [...world.ingresses.values()], world.balancers);
  const snapshot: Snapshot = {
    rollout,
    raw: withDecodableTemplate(raw),
    workload: {
      replicaSets: [...world.replicaSets.values()].map((item) => views.replicaSet(item)),
      pods: [...world.pods.values()].map((item) => views.pod(item)),
      ...(reference === undefined ? {} : { reference }),
      refusedEvictions: world.refusedEvictions,
    },
    services: {
      ...serviceAs(world, "stable", names.stable),
      ...serviceAs(world, "canary", names.canary),
      ...serviceAs(world, "active", blueGreen?.activeService),
      ...serviceAs(world, "preview", blueGreen?.previewService),
    },
    traffic: {
      ...(world.published !== undefined && {
        published: world.published,
        publishedSinceMs: world.publishedSinceMs,
      }),
      acknowledgement: isRouted ? world.acknowledgement : { kind: "notApplicable" },
      ...(routers.length === 0 ? {} : { routers }),
    },
    analysis: {
      runs: [...world.runs.values()].map((item) => views.run(item)),
      templates: [...world.templates.values()].map((item) => views.template(item)),
      clusterTemplates: [...world.clusterTemplates.values()].map((item) => views.clusterTemplate(item)),
    },
    plugins: world.plugins.snapshot(),
    validation: { errors: [...world.errors, ...world.validate(checked)] },
    experiments: [...world.experiments.values()].map((item) => views.experiment(item)),
    config: DEFAULT_ENGINE_CONFIG,
  };
  const registrations = registrationsIn(snapshot, world.registered);
  if (registrations === undefined) return snapshot;
  return { ...snapshot, traffic: { ...snapshot.traffic, registrations } };
}

function serviceAs(
  world: World,
  role: keyof Snapshot["services"],
  name: string | undefined,
): Snapshot["services"] {
  const service = world.services.get(name ?? "");
  return service === undefined ? {} : { [role]: world.views.service(service) };
}
