// Validation against the words of Argo Rollouts itself (scripts/go/validation asks its validators).
import { readFileSync } from "node:fs";
import { test } from "tap";
import type { Metric, Rollout } from "../../src/api/api.ts";
import {
  fieldErrorText,
  readAnalysisRun,
  readRollout,
  validateMetrics,
  validateRollout,
} from "../../src/api/api.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";

interface Vector {
  readonly name: string;
  readonly rollout?: KubeObject;
  readonly template?: unknown;
  readonly metrics?: unknown;
  readonly errors: readonly string[];
}

const vectors = read("validation.vectors.json");
const podVectors = read("podrules.vectors.json");

function read(file: string): readonly Vector[] {
  // The files are written by our own generator in this shape.
  return JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8")) as readonly Vector[];
}

function rolloutOf(object: KubeObject): Rollout {
  return readRollout(object).value;
}

function metricsOf(metrics: unknown): readonly Metric[] {
  const run = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisRun",
    metadata: { name: "r" },
    spec: { metrics },
  };
  return readAnalysisRun(run).value.spec.metrics;
}

test("validation: a Rollout has the errors that Argo finds, in its words and order", (t) => {
  for (const { name, rollout, errors } of vectors) {
    if (rollout === undefined) continue;
    t.strictSame(validateRollout(rolloutOf(rollout), CAPABILITIES).map(fieldErrorText), errors, name);
  }
  t.end();
});

test("validation: the first error of metrics is the one that Argo gives", (t) => {
  for (const { name, metrics, errors } of vectors) {
    if (metrics === undefined) continue;
    const found = validateMetrics(metricsOf(metrics)).map(({ message }) => message);
    t.strictSame(found.slice(0, 1), errors, name);
  }
  t.end();
});

test("validation: a pod template has the errors that Kubernetes finds, in its words", (t) => {
  for (const { name, template, errors } of podVectors) {
    const spec = { selector: { matchLabels: { app: "web" } }, template, strategy: { canary: {} } };
    const rollout = { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", metadata: { name: "web" }, spec };
    const found = validateRollout(rolloutOf(rollout), CAPABILITIES).map(fieldErrorText);
    // Go goes through maps in any order.
    t.strictSame(found.toSorted(), errors.toSorted(), name);
  }
  t.end();
});
