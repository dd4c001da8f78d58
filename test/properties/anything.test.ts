// Whatever the schema lets through gets a decision: specs of all fields with odd values, statuses that somebody else wrote, children that are
// missing or not as they should be. `decide` never throws, and what it returns can be written down.
import fc from "fast-check";
import { test } from "tap";
import {
  fieldErrorText,
  readAnalysisRun,
  readAnalysisTemplate,
  readPod,
  readReplicaSet,
  readRollout,
  readService,
  rolloutErrors,
} from "../../src/api/api.ts";
import { DEFAULT_ENGINE_CONFIG, decide, explain, requestOf, type Snapshot } from "../../src/engine/decide.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";
import { anyRollout, anyStatus, odd } from "./anyrollout.ts";
import { HISTORY_OPTIONS } from "./options.ts";

/** Children as a real history leaves them, in the middle of an update. */
function children(isRouted: boolean): World {
  const steps = [{ setWeight: 50 }, { pause: {} }];
  const world = worldWith({ replicas: 3, isRouted, steps });
  world.settle();
  for (const image of ["web:2", "web:3"]) {
    world.editSpec(imagePatch(image));
    world.settle();
  }
  return world;
}

const worlds = { routed: children(true), plain: children(false) };

const situation = fc.record({
  rollout: anyRollout,
  status: fc.oneof({ weight: 3, arbitrary: anyStatus }, { weight: 1, arbitrary: odd }),
  /** The hashes of a real history instead of made up ones. */
  isReal: fc.boolean(),
  from: fc.constantFrom("routed" as const, "plain" as const),
  /** Which children are left out or spoilt: bits, taken in turn. */
  missing: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  spoilt: fc.array(fc.option(odd), { minLength: 12, maxLength: 12 }),
  laterMs: fc.integer({ min: -1_000_000, max: 10_000_000 }),
  acknowledgement: fc.constantFrom(
    { kind: "yes" } as const,
    { kind: "notApplicable" } as const,
    { kind: "no", nodes: [], sinceMs: 0 } as const,
  ),
});
type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

function snapshotOf(found: Situation): Snapshot {
  const world = worlds[found.from];
  const status = found.isReal ? { ...Object(world.rollout.status), ...Object(found.status) } : found.status;
  const raw = { ...world.rollout, spec: found.rollout, status };
  const rollout = readRollout(raw).value;
  let at = 0;
  const some = <T>(objects: Iterable<object>, read: (object: never) => { readonly value: T }): T[] =>
    [...objects].flatMap((object) => {
      at += 1;
      if (found.missing[at % 12] === true) return [];
      const spoilt = found.spoilt[at % 12];
      // As the API could hold it.
      const held = spoilt === null ? object : { ...object, spec: spoilt, status: spoilt };
      return [read(held as never).value];
    });
  const [stable, canary] = some(world.services.values(), readService);
  return {
    ...world.snapshot(),
    rollout,
    raw,
    workload: {
      replicaSets: some(world.replicaSets.values(), readReplicaSet),
      pods: some(world.pods.values(), readPod),
    },
    services: { ...(stable && { stable }), ...(canary && { canary }) },
    traffic: {
      acknowledgement: found.acknowledgement,
      ...(world.published && { published: world.published }),
    },
    analysis: {
      runs: some(world.runs.values(), readAnalysisRun),
      templates: some(world.templates.values(), readAnalysisTemplate),
      clusterTemplates: [],
    },
    // The rules are passed by every other time: what got past them must be borne as well.
    validation: {
      errors: found.missing[0] === true ? rolloutErrors(rollout, CAPABILITIES).map(fieldErrorText) : [],
    },
    config: DEFAULT_ENGINE_CONFIG,
  };
}

test("anything: every object that can be read gets a decision that can be written down", async (t) => {
  fc.assert(
    fc.property(situation, (found) => {
      const snapshot = snapshotOf(found);
      const nowMs = worlds[found.from].nowMs + found.laterMs;
      const plan = decide(snapshot, nowMs);
      for (const action of plan.actions) JSON.stringify(requestOf(action));
      const { requeueAtMs } = plan;
      if (requeueAtMs !== undefined && !(requeueAtMs > nowMs)) throw new Error(`requeue at ${requeueAtMs}`);
      if (plan.explanation.phase === "" || explain(plan, nowMs).length === 0) throw new Error("no words");
      JSON.stringify(plan, (key, value: unknown) => {
        if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${key} is ${value}`);
        return value;
      });
    }),
    HISTORY_OPTIONS,
  );
  t.pass("nothing was thrown");
});
