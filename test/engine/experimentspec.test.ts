// Specs of Experiments that cannot be run, which are said before anything is done, and changes of the spec that come too late.
import { test } from "tap";
import {
  changeObject,
  changeSpec,
  experimentWorld,
  nextPass,
  templateManifest,
} from "../support/experimentworld.ts";

/** What is wrong with such a spec; undefined when it is run. */
function problem(templates: readonly object[], spec: object = {}): string | undefined {
  const { actions, status, waits } = nextPass(experimentWorld(templates, spec));
  const [condition] = status.conditions ?? [];
  if (condition?.type !== "InvalidSpec") return undefined;
  if (
    actions.length > 0 ||
    waits.length !== 1 ||
    waits[0]?.code !== "valid" ||
    waits[0].text !== condition.message
  )
    throw new Error("an invalid Experiment is left alone, and waits for its spec");
  return condition.message;
}

test("experiment: a spec that cannot be run is said, nothing is made of it", (t) => {
  const a = templateManifest("a");
  const slow = (minReadySeconds: number) => [a, templateManifest("b", { minReadySeconds })];
  const all = "This experiment is selecting all pods at index 1. A non-empty selector is required.";
  const tooSlow = "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 1";
  const selecting = (selector: object) => [a, templateManifest("b", { selector })];
  const lab = { matchExpressions: [{ key: "app", operator: "Exists" }] };
  const cases: readonly [string, readonly object[], object, string | undefined][] = [
    ["plain", [a], {}, undefined],
    ["no selector", selecting({}), {}, all],
    ["empty selector", selecting({ matchLabels: {}, matchExpressions: [] }), {}, all],
    ["selected by expressions", selecting(lab), {}, undefined],
    ["selected by empty labels and expressions", selecting({ matchLabels: {}, ...lab }), {}, undefined],
    [
      "selected by labels, no expressions",
      selecting({ matchLabels: { app: "web" }, matchExpressions: [] }),
      {},
      undefined,
    ],
    ["ready just in time", slow(600), {}, undefined],
    ["ready too late", slow(601), {}, tooSlow],
    ["ready in its own time", slow(60), { progressDeadlineSeconds: 60 }, undefined],
    ["ready after its own time", slow(61), { progressDeadlineSeconds: 60 }, tooSlow],
    ["no pods", [a, templateManifest("b", { replicas: 0 })], {}, undefined],
    [
      "fewer pods than none",
      [a, templateManifest("b", { replicas: -1 })],
      {},
      "spec.templates[1].replicas: Invalid value: -1: must be greater than or equal to 0",
    ],
    [
      "ready before it began",
      slow(-1),
      {},
      "spec.templates[1].minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
    ],
    ["no name", [a, templateManifest("")], {}, "Experiment duel has empty template name at index 1"],
    ["name twice", [a, a], {}, "Experiment duel has repeated template name 'a' in templates"],
    ["empty duration", [a], { duration: "" }, undefined],
    ["duration", [a], { duration: "1h30m" }, undefined],
    [
      "no duration",
      [a],
      { duration: "soon" },
      'spec.duration: Invalid value: "soon": must be a duration such as 30s, 5m or 1h',
    ],
  ];
  for (const [words, templates, spec, expected] of cases) t.equal(problem(templates, spec), expected, words);
  t.end();
});

test("experiment: other pods or another selector than what runs are refused with the template's name", (t) => {
  const labels = { app: "web", template: "a" };
  const expressions = [{ key: "tier", operator: "DoesNotExist" }];
  const text =
    "spec.templates[a]: Forbidden: it has begun with another one, and goes on with that; retry the Experiment to run it as it is now";
  const cases: readonly [string, object, boolean][] = [
    ["the same", {}, false],
    ["its size", { replicas: 2 }, false],
    ["an empty list of expressions", { selector: { matchLabels: labels, matchExpressions: [] } }, false],
    ["other labels selected", { selector: { matchLabels: { app: "web" } } }, true],
    ["other expressions", { selector: { matchLabels: labels, matchExpressions: expressions } }, true],
    [
      "other pods",
      { template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "web:2" }] } } },
      true,
    ],
  ];
  for (const [words, change, isRefused] of cases) {
    const world = experimentWorld([templateManifest("a")]);
    world.settle();
    changeSpec(world, { templates: [templateManifest("a", change)] });
    const waits = nextPass(world).waits.filter(({ code }) => code === "valid");
    t.strictSame(waits, isRefused ? [{ code: "valid", text }] : [], words);
  }
  t.end();
});

test("experiment: selected by expressions alone, pods are the same with and without the hash in the selector of what runs", (t) => {
  const selector = { matchExpressions: [{ key: "app", operator: "Exists" }] };
  const world = experimentWorld([templateManifest("a", { selector })]);
  world.settle();
  t.strictSame(nextPass(world).waits, []);
  changeObject(world, "replicaSets", "duel-a", { spec: { selector: { matchLabels: null } } });
  t.strictSame(nextPass(world).waits, []);
  t.end();
});
