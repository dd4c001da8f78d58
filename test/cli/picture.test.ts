// The quick start's picture in terminals of several widths.
import { test } from "tap";
import { readRollout } from "../../src/api/api.ts";
import { draw, type Picture } from "../../src/cli/quickstart/picture.ts";

const message = 'RolloutAborted: Rollout aborted update to revision 3: Metric "success-rate" assessed Failed';
const rollout = readRollout({
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Rollout",
  metadata: { name: "demo", generation: 3 },
  spec: { strategy: { canary: { steps: [{ setWeight: 20 }, { pause: { duration: "5s" } }] } } },
  status: {
    observedGeneration: "3",
    phase: "Degraded",
    message,
    currentStepIndex: 1,
    currentPodHash: "b",
    stableRS: "a",
    canary: { weights: { canary: { weight: 20 }, stable: { weight: 80 } } },
  },
}).value;
const tally = { errors: 0, recentRequests: 80 };
const picture: Picture = {
  title: "version 3 fails a fifth of its requests",
  elapsedMs: 45_000,
  rollout,
  analysisProgress: 0,
  acknowledgedMs: new Map([[0, 157]]),
  versions: [
    { version: "green", requests: 4018, ...tally },
    { version: "red", requests: 232, errors: 44, recentRequests: 20 },
  ],
  roles: { stable: "green", canary: "red" },
  failures: 0,
  latencyMs: { p50: 13.8, p99: 28.7 },
  notes: [],
};
const drawn = (columns: number): readonly string[] => draw(picture, columns, 0);
const told = (columns: number): string => drawn(columns).join(" ").replaceAll(/\s+/g, " ");

test("picture: in 40 columns nothing goes over the edge, and cause, shares and errors stand whole", (t) => {
  t.ok(drawn(40).every((line) => Array.from(line).length <= 40));
  t.match(told(40), message);
  t.match(told(40), /set █+░+ 20\.0 % measured █+░+ 20\.0 %/);
  t.match(told(40), /red canary 232 19\.0 %/);
  t.match(told(40), /latency p50 13\.8 ms, p99 28\.7 ms/);
  t.end();
});

test("picture: a bar makes room for when its weight was in force, as long as there is any", (t) => {
  const step = (columns: number): string => drawn(columns).find((line) => line.includes("setWeight")) ?? "";
  const cells = (columns: number): number => step(columns).replaceAll(/[^█░]/g, "").length;
  t.match(step(80), /in force in both proxies after 157 ms$/);
  t.ok(Array.from(step(80)).length <= 80, step(80));
  t.strictSame([120, 80, 60, 40, 34].map(cells), [24, 18, 24, 16, 10]);
  t.end();
});
