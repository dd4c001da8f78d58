// An Experiment of a step whose templates have shares of the traffic: what is taken out of its spec stays until no proxy may send there.
import { test } from "tap";
import type { KubeObject } from "../../src/api/api.ts";
import { experimentPlan, patchExperiment } from "../../src/simulate/experiments.ts";
import { type World, worldWith } from "../support/world.ts";

interface Written {
  readonly name: string;
  readonly service?: object;
}

/** Templates a and b have their shares, and the proxies say nothing from now on. */
function shared(): { readonly world: World; readonly name: string; readonly templates: readonly Written[] } {
  const templates = [
    { name: "a", specRef: "stable", weight: 5 },
    { name: "b", specRef: "canary", weight: 15 },
  ];
  const containers = [{ name: "main", image: "web:1", ports: [{ containerPort: 8080 }] }];
  const template = { metadata: { labels: { app: "web" } }, spec: { containers } };
  const steps = [{ setWeight: 20 }, { experiment: { templates } }, { pause: {} }];
  const world = worldWith({ replicas: 5, isRouted: true, steps, spec: { template } });
  world.settle();
  world.editSpec({ template: { spec: { containers: [{ ...containers[0], image: "web:2" }] } } });
  world.settle();
  world.acking = "manual";
  const [experiment] = world.experiments.values();
  if (experiment === undefined) throw new Error("there is no Experiment");
  return { world, name: experiment.metadata.name, templates: templatesOf(experiment) };
}

// An Experiment that the engine wrote has templates.
const templatesOf = ({ spec }: KubeObject) => (spec as { readonly templates: readonly Written[] }).templates;

/** What there is of the Experiment's. */
const made = ({ replicaSets, services }: World, name: string) =>
  [...replicaSets.keys(), ...services.keys()].filter((object) => object.startsWith(name)).sort();

const shares = (world: World) => world.published?.versions.filter(({ weight }) => weight > 0).length;

test("experiment: a Service that is asked for no more stays until no proxy may send there, and has no share", (t) => {
  const { world, name, templates } = shared();
  t.equal(shares(world), 4);
  const changed = templates.map(({ service, ...rest }) => (rest.name === "a" ? rest : { ...rest, service }));
  patchExperiment(world, name, { spec: { templates: changed } });
  world.settle();
  t.equal(shares(world), 3, "its share is taken back");
  world.advance(60_000);
  t.ok(world.services.has(`${name}-a`), "its pods run on: it keeps nobody waiting");
  const { actions, waits } = experimentPlan(world, name);
  t.strictSame(actions, []);
  t.match(waits, [{ code: "acknowledgement", text: "proxies may still send to template a" }]);
  world.acknowledge();
  world.settle();
  t.strictSame(made(world, name), [`${name}-a`, `${name}-b`, `${name}-b`]);
  t.end();
});

test("experiment: a template that is taken out keeps pods and Service until no proxy may send there", (t) => {
  const { world, name, templates } = shared();
  patchExperiment(world, name, { spec: { templates: templates.slice(1) } });
  world.settle();
  t.equal(shares(world), 3, "its share is taken back");
  t.equal(made(world, name).length, 4);
  t.match(experimentPlan(world, name).waits, [
    { code: "acknowledgement", text: "proxies may still send to template a", untilMs: world.nowMs + 30_000 },
  ]);
  world.acknowledge();
  world.settle();
  t.strictSame(made(world, name), [`${name}-b`, `${name}-b`]);
  t.end();
});

test("experiment: a template that is taken out goes after the grace of 30 s though a proxy stays silent", (t) => {
  const { world, name, templates } = shared();
  patchExperiment(world, name, { spec: { templates: templates.slice(1) } });
  world.settle();
  world.advance(29_000);
  t.equal(made(world, name).length, 4);
  world.advance(1000);
  t.strictSame(made(world, name), [`${name}-b`, `${name}-b`]);
  t.end();
});

test("experiment: a template that is put back in time runs on as it was", (t) => {
  const { world, name, templates } = shared();
  const before = made(world, name);
  patchExperiment(world, name, { spec: { templates: templates.slice(1) } });
  world.settle();
  world.advance(10_000);
  patchExperiment(world, name, { spec: { templates } });
  world.acknowledge();
  world.acking = "auto";
  world.settle();
  world.advance(60_000);
  t.strictSame(made(world, name), before);
  t.equal(shares(world), 4);
  t.end();
});
