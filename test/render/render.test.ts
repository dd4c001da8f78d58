// Goldens of the routers: <name>.in.yaml is a Rollout's canary strategy, the weight decided and the objects there are; <name>.out.yaml what has
// to be written, what is wrong, and what the objects hold before and after. Written by hand from Argo's rules.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { relative } from "node:path";
import { test } from "tap";
import { parse } from "yaml";
import {
  fieldErrorText,
  type KubeObject,
  type RouterState,
  readRollout,
  type TrafficIntent,
} from "../../src/api/api.ts";
import { isObject } from "../../src/lib/json.ts";
import {
  observeRouters,
  renderRouters,
  routerObjects,
  routerSettingsErrors,
} from "../../src/routers/routers.ts";
import { applied } from "../support/patched.ts";

type Given = Partial<KubeObject> & Pick<KubeObject, "metadata">;

interface Input {
  readonly canary: Readonly<Record<string, unknown>>;
  /** Of the canary; the stable version has the rest. */
  readonly weight: number;
  /** Parts of the intent that differ from what follows from the strategy. */
  readonly intent?: Partial<TrafficIntent>;
  /** With defaults for what every object has. */
  readonly observed: readonly Given[];
}

const NAMESPACE = "shop";
const files = (await Array.fromAsync(glob(`${import.meta.dirname}/*/*.in.yaml`))).sort();

for (const file of files) {
  const text = readFileSync(file, "utf8");
  const claim = text.split("\n")[0]?.replace(/^# /, "");
  test(`render: ${relative(import.meta.dirname, file)}: ${claim}`, (t) => {
    const expected: unknown = parse(readFileSync(file.replace(".in.", ".out."), "utf8"));
    t.strictSame(outcomeOf(parse(text)), expected);
    t.end();
  });
}

test("render: every router has its goldens", (t) => {
  for (const router of ["nginx", "alb"])
    t.ok(files.filter((file) => file.includes(`/${router}/`)).length >= 12, router);
  t.end();
});

/** All that the routers say of the input, without what is empty. */
function outcomeOf(input: Input): unknown {
  const { value: rollout } = readRollout(rolloutOf(input));
  const observed = input.observed.map(completed);
  const intent = intentOf(input);
  const patches = renderRouters(rollout, intent, observed);
  const after = applied(observed, patches);
  const again = renderRouters(rollout, intent, after);
  const outcome = {
    errors: [
      ...routerSettingsErrors(rollout),
      ...observeRouters(rollout, observed).flatMap(({ problems }) => problems.map(({ error }) => error)),
    ].map(fieldErrorText),
    reads: routerObjects(rollout).map(({ name }) => name),
    before: observeRouters(rollout, observed).map(({ state }) => stateText(state)),
    writes: patches.map(({ event, ...patch }) => ({
      event: `${event.reason}: ${event.message}`,
      ...(patch.verb === "create" ? { create: patch.object } : { patch: patch.name.name, body: patch.body }),
    })),
    after: observeRouters(rollout, after).map(({ state }) => stateText(state)),
    ...(again.length === 0 ? {} : { again }),
  };
  const shown = Object.entries(outcome).filter(([, value]) => !(Array.isArray(value) && value.length === 0));
  return JSON.parse(JSON.stringify(Object.fromEntries(shown)));
}

/** `web-canary 20, web-stable 80; beta: X-Beta yes, X-Beta maybe`. */
function stateText(state: RouterState): string {
  if (state.kind !== "holds") return state.kind === "refused" ? `refused: ${state.why}` : state.kind;
  const { split } = state;
  const weights = split.weights.map(({ service, weight }) => `${service} ${weight}`).join(", ");
  const routes = split.headerRoutes.map(({ name, matches }) => {
    const conditions = matches.map(({ name: header, value }) => `${header} ${value.value}`);
    return `; ${name}: ${conditions.join(", ")}`;
  });
  return `${weights}${routes.join("")}`;
}

function rolloutOf({ canary }: Input): KubeObject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: NAMESPACE, uid: "uid-rollout" },
    spec: { strategy: { canary } },
  };
}

function intentOf({ canary, weight, intent }: Input): TrafficIntent {
  const { stableService, canaryService, trafficRouting } = canary;
  const { maxTrafficWeight } = isObject(trafficRouting) ? trafficRouting : {};
  const maxWeight = Number(maxTrafficWeight ?? 100);
  return {
    namespace: NAMESPACE,
    rollout: "web",
    stableService: String(stableService),
    canaryService: String(canaryService),
    maxWeight,
    versions: [
      { podHash: "old", role: "stable", weight: maxWeight - weight },
      { podHash: "new", role: "canary", weight },
    ],
    ...intent,
  };
}

function completed(object: Given): KubeObject {
  const { name } = object.metadata;
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    ...object,
    metadata: { namespace: NAMESPACE, uid: `uid-${name}`, resourceVersion: "7", ...object.metadata },
  };
}
