// Numbers below 0 that Argo does not look at: sizes are refused, times are noted.
import { test } from "tap";
import {
  fieldErrorText,
  formatPath,
  type KubeObject,
  lint,
  readRollout,
  rolloutErrors,
} from "../../src/api/api.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";

const LABELS = { app: "web" };
const ROUTED = {
  stableService: "web",
  canaryService: "next",
  trafficRouting: { plugins: { "weir.dev/proxy": {} } },
};

function rollout(strategy: object): KubeObject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web" },
    spec: {
      selector: { matchLabels: LABELS },
      template: { metadata: { labels: LABELS }, spec: { containers: [{ name: "web", image: "web:1" }] } },
      strategy,
    },
  };
}

const blueGreen = (more: object): KubeObject => rollout({ blueGreen: { activeService: "web", ...more } });
const withExperiment = (experiment: object): KubeObject =>
  rollout({ canary: { ...ROUTED, steps: [{ setWeight: 5 }, { experiment }] } });
const errorsOf = (object: KubeObject): readonly string[] =>
  rolloutErrors(readRollout(object).value, CAPABILITIES).map(fieldErrorText);
const notesOf = (object: KubeObject): readonly string[] =>
  lint(object, CAPABILITIES).map(({ path, message, isNote }) => {
    return `${isNote === true ? "note" : "error"} ${formatPath(path)} ${message}`;
  });

test("negatives: a number of pods below 0 is InvalidSpec, 0 is not", async (t) => {
  t.strictSame(errorsOf(blueGreen({ previewReplicaCount: -3 })), [
    "spec.strategy.previewReplicaCount: Invalid value: -3: must be greater than or equal to 0",
  ]);
  t.strictSame(errorsOf(blueGreen({ previewReplicaCount: 0 })), []);
  const templates = [
    { name: "a", specRef: "stable" },
    { name: "b", specRef: "canary", replicas: -1 },
    { name: "c", specRef: "canary", replicas: 0 },
  ];
  t.strictSame(errorsOf(withExperiment({ templates })), [
    "spec.strategy.steps[1].experiment.templates[1].replicas: Invalid value: -1: must be greater than or equal to 0",
  ]);
});

test("negatives: a time below 0 works, and lint notes how", async (t) => {
  const times = { scaleDownDelaySeconds: -1, abortScaleDownDelaySeconds: -1 };
  const atOnce = "is below 0: old pods go at once, as with 0";
  const aborted = "is below 0: the aborted version's pods go at once; 0 keeps them";
  const active = "spec.strategy.blueGreen";
  t.strictSame(notesOf(blueGreen({ ...times, autoPromotionSeconds: -1 })), [
    `note ${active}.scaleDownDelaySeconds ${atOnce}`,
    `note ${active}.abortScaleDownDelaySeconds ${aborted}`,
    `note ${active}.autoPromotionSeconds is below 0: it counts as 0`,
  ]);
  const canary = "spec.strategy.canary";
  t.strictSame(notesOf(rollout({ canary: { ...ROUTED, ...times } })), [
    `note ${canary}.scaleDownDelaySeconds ${atOnce}`,
    `note ${canary}.abortScaleDownDelaySeconds ${aborted}`,
  ]);
  const experiment = { templates: [{ name: "a", specRef: "stable" }], scaleDownDelaySeconds: -1 };
  t.strictSame(notesOf(withExperiment(experiment)), [
    `note ${canary}.steps[1].experiment.scaleDownDelaySeconds ${atOnce}`,
  ]);
  t.strictSame(errorsOf(blueGreen(times)), []);
  const alone = { apiVersion: "argoproj.io/v1alpha1", kind: "Experiment", metadata: { name: "duel" } };
  t.strictSame(notesOf({ ...alone, spec: { templates: [], scaleDownDelaySeconds: -1 } }), [
    `note spec.scaleDownDelaySeconds ${atOnce}`,
  ]);
});
