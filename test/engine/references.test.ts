// Objects that a Rollout names: one row for every rule, with Argo's place and words, and what is missing rather than wrong.
import { test } from "tap";
import { type FieldError, fieldErrorText, type KubeObject } from "../../src/api/api.ts";
import { findReferenceProblems } from "../../src/engine/decide.ts";
import { rolloutManifest, World } from "../support/world.ts";

interface Row {
  readonly rule: string;
  readonly strategy: object;
  readonly objects?: readonly KubeObject[];
  /** Every problem; `?` before one whose object is not there. */
  readonly problems: readonly string[];
}

const MANAGED = "argo-rollouts.argoproj.io/managed-by-rollouts";
const CANARY = "spec.strategy.canary";
const BLUE_GREEN = "spec.strategy.blueGreen";
const STEP = `${CANARY}.steps[0].analysis.templates`;
const PROVIDER = { plugin: { "weir.dev/traffic": { metric: "requests" } } };

const service = (name: string, selector: object = { app: "web" }, annotations: object = {}): KubeObject =>
  object("v1", "Service", name, { selector, ports: [{ port: 80 }] }, annotations);
const template = (name: string, spec: object, kind = "AnalysisTemplate"): KubeObject =>
  object("argoproj.io/v1alpha1", kind, name, spec);
const metric = (name: string, more: object = {}): object => ({ name, provider: PROVIDER, ...more });
const analysed = (name: string, more: object = {}): object => ({
  canary: { steps: [{ analysis: { templates: [{ templateName: name }], ...more } }] },
});

function object(
  apiVersion: string,
  kind: string,
  name: string,
  spec: object,
  annotations: object = {},
): KubeObject {
  return {
    apiVersion,
    kind,
    metadata: { name, namespace: "default", annotations: { ...annotations } },
    spec,
  };
}

const ROWS: readonly Row[] = [
  {
    rule: "Services that are not there",
    strategy: { canary: { stableService: "web", canaryService: "next" } },
    problems: [
      `? ${CANARY}.stableService: Invalid value: "web": service "web" not found`,
      `? ${CANARY}.canaryService: Invalid value: "next": service "next" not found`,
    ],
  },
  {
    rule: "Services that select other pods",
    strategy: { canary: { stableService: "web", canaryService: "next" } },
    objects: [service("web", { app: "api", tier: "x" }), service("next", { app: "web" })],
    problems: [
      `${CANARY}.stableService: Invalid value: "web": Service "web" has unmatch label "app" in rollout`,
      `${CANARY}.stableService: Invalid value: "web": Service "web" has unmatch label "tier" in rollout`,
    ],
  },
  {
    // As in v1.9; a Service by them would be without pods while these change their role, between two versions.
    rule: "labels that pods carry for their role do not count",
    strategy: { canary: { stableService: "web", stableMetadata: { labels: { role: "stable" } } } },
    objects: [service("web", { app: "web", role: "stable" })],
    problems: [
      `${CANARY}.stableService: Invalid value: "web": Service "web" has unmatch label "role" in rollout`,
    ],
  },
  {
    rule: "the hash label of a Service is the controller's",
    strategy: { canary: { stableService: "web" } },
    objects: [service("web", { app: "web", "rollouts-pod-template-hash": "abc" })],
    problems: [],
  },
  {
    rule: "a Service of another Rollout",
    strategy: { canary: { stableService: "web" } },
    objects: [service("web", { app: "web" }, { [MANAGED]: "other" })],
    problems: [`${CANARY}.stableService: Invalid value: "web": Service "web" is managed by another Rollout`],
  },
  {
    rule: "a Service of its own",
    strategy: { canary: { stableService: "web" } },
    objects: [service("web", { app: "web" }, { [MANAGED]: "web" })],
    problems: [],
  },
  {
    rule: "blue-green Services",
    strategy: { blueGreen: { activeService: "active", previewService: "preview" } },
    objects: [service("preview", { app: "api" })],
    problems: [
      `? ${BLUE_GREEN}.activeService: Invalid value: "active": service "active" not found`,
      `${BLUE_GREEN}.previewService: Invalid value: "preview": Service "preview" has unmatch label "app" in rollout`,
    ],
  },
  {
    rule: "ping-pong Services",
    strategy: { canary: { pingPong: { pingService: "ping", pongService: "pong" } } },
    problems: [
      `? ${CANARY}.pingPong.pingService: Invalid value: "ping": service "ping" not found`,
      `? ${CANARY}.pingPong.pongService: Invalid value: "pong": service "pong" not found`,
    ],
  },
  {
    rule: "a template that is not there",
    strategy: analysed("errors"),
    problems: [`? ${STEP}: Invalid value: "errors": AnalysisTemplate 'errors' not found`],
  },
  {
    rule: "a template of the cluster that is not there",
    strategy: { canary: { analysis: { templates: [{ templateName: "errors", clusterScope: true }] } } },
    problems: [
      `? ${CANARY}.analysis.templates: Invalid value: "errors": ClusterAnalysisTemplate 'errors' not found`,
    ],
  },
  {
    rule: "a template within a template that is not there",
    strategy: analysed("all"),
    objects: [template("all", { templates: [{ templateName: "errors" }] })],
    problems: [`? spec.templates: Invalid value: "errors": AnalysisTemplate 'errors' not found`],
  },
  {
    rule: "an argument that nobody gives",
    strategy: analysed("errors"),
    objects: [template("errors", { args: [{ name: "region" }], metrics: [metric("errors")] })],
    problems: [`${STEP}: Invalid value: "templateNames: [errors]": args.region was not resolved`],
  },
  {
    rule: "an argument that no template declares",
    strategy: analysed("errors"),
    objects: [
      template("errors", { metrics: [metric("m", { successCondition: "result < {{args.limit}}" })] }),
    ],
    problems: [`${STEP}: Invalid value: "errors": AnalysisTemplate errors: failed to resolve {{args.limit}}`],
  },
  {
    rule: "an argument that another template declares",
    strategy: {
      canary: { steps: [{ analysis: { templates: [{ templateName: "a" }, { templateName: "b" }] } }] },
    },
    objects: [
      template("a", { args: [{ name: "limit", value: "1" }], metrics: [metric("a")] }),
      template("b", { metrics: [metric("b", { successCondition: "result < {{ args.limit }}" })] }),
    ],
    problems: [],
  },
  {
    rule: "an argument that only a Secret has",
    strategy: analysed("errors"),
    objects: [
      template("errors", {
        args: [{ name: "limit", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }],
        metrics: [metric("m", { successCondition: "result < {{args.limit}}" })],
      }),
    ],
    problems: [],
  },
  {
    rule: "an argument that no template of a background analysis declares",
    strategy: { canary: { analysis: { templates: [{ templateName: "errors" }] } } },
    objects: [
      template("errors", { metrics: [metric("m", { successCondition: "result < {{args.limit}}" })] }),
    ],
    problems: [
      `${CANARY}.analysis.templates: Invalid value: "errors": AnalysisTemplate errors: failed to resolve {{args.limit}}`,
    ],
  },
  {
    rule: "rules about metrics that match none",
    strategy: analysed("errors", { dryRun: [{ metricName: "none" }] }),
    objects: [template("errors", { metrics: [metric("m")] })],
    problems: [
      `${STEP}: Invalid value: "templateNames: [errors]": dryRun[0]: Rule didn't match any metric name(s)`,
    ],
  },
  {
    rule: "kept measurements of metrics that are none, in a background analysis",
    strategy: {
      canary: {
        analysis: {
          templates: [{ templateName: "errors" }],
          dryRun: [{ metricName: "m.*" }],
          measurementRetention: [{ metricName: "none", limit: 5 }],
        },
      },
    },
    objects: [template("errors", { metrics: [metric("m1")] })],
    problems: [
      `${CANARY}.analysis.templates: Invalid value: "templateNames: [errors]": measurementRetention[0]: Rule didn't match any metric name(s)`,
    ],
  },
  {
    rule: "a rule that matches the metrics of one analysis of an experiment only",
    strategy: {
      canary: {
        steps: [
          {
            experiment: {
              templates: [{ name: "base", specRef: "stable" }],
              dryRun: [{ metricName: "a" }],
              analyses: [
                { name: "first", templateName: "a" },
                { name: "second", templateName: "b" },
              ],
            },
          },
        ],
      },
    },
    objects: [template("a", { metrics: [metric("a")] }), template("b", { metrics: [metric("b")] })],
    problems: [
      `${CANARY}.steps[0].experiment.analyses[1].templates: Invalid value: "templateNames: [b]": dryRun[0]: Rule didn't match any metric name(s)`,
    ],
  },
  {
    rule: "an argument with different values",
    strategy: {
      canary: { steps: [{ analysis: { templates: [{ templateName: "a" }, { templateName: "b" }] } }] },
    },
    objects: [
      template("a", { args: [{ name: "x", value: "1" }], metrics: [metric("a")] }),
      template("b", { args: [{ name: "x", value: "2" }], metrics: [metric("b")] }),
    ],
    problems: [
      `${STEP}: Invalid value: "templateNames: [a b]": Argument \`x\` specified multiple times with different values: '1', '2'`,
    ],
  },
  {
    rule: "metrics of one name in two templates",
    strategy: {
      canary: { steps: [{ analysis: { templates: [{ templateName: "a" }, { templateName: "b" }] } }] },
    },
    objects: [template("a", { metrics: [metric("m")] }), template("b", { metrics: [metric("m")] })],
    problems: [`${STEP}: Invalid value: "templateNames: [a b]": two metrics have the same name 'm'`],
  },
  {
    rule: "an inline analysis without an end",
    strategy: analysed("errors"),
    objects: [template("errors", { metrics: [metric("rate", { interval: "10s" })] })],
    problems: [
      `${STEP}: Invalid value: "errors": AnalysisTemplate errors has metric rate which runs indefinitely. Invalid value for count: <nil>`,
    ],
  },
  {
    rule: "a background analysis may run without an end",
    strategy: { canary: { analysis: { templates: [{ templateName: "errors" }] } } },
    objects: [template("errors", { metrics: [metric("rate", { interval: "10s" })] })],
    problems: [],
  },
  {
    rule: "an analysis before the promotion without an end",
    strategy: {
      blueGreen: { activeService: "a", prePromotionAnalysis: { templates: [{ templateName: "e" }] } },
    },
    objects: [service("a"), template("e", { metrics: [metric("rate", { interval: "10s" })] })],
    problems: [
      `${BLUE_GREEN}.prePromotionAnalysis.templates: Invalid value: "e": AnalysisTemplate e has metric rate which runs indefinitely. Invalid value for count: <nil>`,
    ],
  },
  {
    rule: "a metric that is wrong in itself",
    strategy: analysed("errors"),
    objects: [template("errors", { metrics: [metric("rate", { count: 2 })] })],
    problems: [
      `${STEP}: Invalid value: "templateNames: [errors]": metrics[0]: interval must be specified when count > 1`,
    ],
  },
];

for (const { rule, strategy, objects = [], problems } of ROWS) {
  test(`references: ${rule}`, async (t) => {
    const manifest = rolloutManifest({});
    const world = new World({ ...manifest, spec: { ...(manifest.spec as object), strategy } });
    for (const item of objects) world.add(item.kind === "Service" ? "services" : "templates", item);
    const found = findReferenceProblems(world.snapshot(), world.nowMs);
    const shown = (error: FieldError, missing: string | undefined): string =>
      `${missing === undefined ? "" : "? "}${fieldErrorText(error)}`;
    t.strictSame(
      found.map(({ error, missing }) => shown(error, missing)),
      problems,
    );
  });
}
