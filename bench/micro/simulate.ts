// What a long simulation costs: 30 days of releases of one Rollout with weights, timed pauses and an analysis, some 1 400 decisions. In one
// process, after a warm-up; the median of the rounds. Target: under 1 s.
//   node bench/micro/simulate.ts [--rounds 5]
import { parseArgs } from "node:util";
import { rolloutManifest } from "../../src/simulate/manifest.ts";
import { simulate } from "../../src/simulate/simulate.ts";
import { machineFacts } from "../lib/machine.ts";
import { quantile } from "../lib/quantile.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const RELEASES = 60;
const TARGET_MS = 1000;

const rollout = rolloutManifest({
  replicas: 10,
  isRouted: true,
  steps: [
    { setWeight: 10 },
    { pause: { duration: "30m" } },
    { setWeight: 50 },
    { analysis: { templates: [{ templateName: "errors" }] } },
    { pause: { duration: "1h" } },
  ],
});
const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default" },
  spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
});
const metric = {
  name: "errors",
  interval: "10m",
  count: 5,
  failureLimit: 2,
  successCondition: "result < 0.05",
  provider: { plugin: { "weir.dev/traffic": { metric: "errorRate" } } },
};
const template = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AnalysisTemplate",
  metadata: { name: "errors", namespace: "default" },
  spec: { metrics: [metric] },
};
const objects = [rollout, service("web-stable"), service("web-canary"), template];
const script = [
  "metric errors 0.01",
  ...Array.from({ length: RELEASES }, (_, at) => `image web:${at + 2}\ntick 12h`),
].join("\n");

/** One simulation: milliseconds by the clock and of CPU, and decisions. */
function run(): { readonly ms: number; readonly cpuMs: number; readonly decisions: number } {
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const { rows, soFar } = simulate(rollout, objects, { file: "script", text: script });
  for (const _ of rows);
  const { decisions } = soFar();
  const { user, system } = process.cpuUsage(cpu);
  return { ms: performance.now() - begun, cpuMs: (user + system) / 1000, decisions };
}

run();
const rounds = Array.from({ length: Number(values.rounds) }, run);
const median = (times: readonly number[]): number =>
  quantile(
    times.toSorted((a, b) => a - b),
    0.5,
  );
const ms = median(rounds.map((round) => round.ms));
const cpuMs = median(rounds.map((round) => round.cpuMs));
const decisions = rounds[0]?.decisions ?? 0;
console.log(
  JSON.stringify({
    machine: machineFacts(),
    days: 30,
    decisions,
    ms: Math.round(ms),
    cpuMs: Math.round(cpuMs),
  }),
);
console.log(ms < TARGET_MS ? "within the target" : `over the target of ${TARGET_MS} ms`);
