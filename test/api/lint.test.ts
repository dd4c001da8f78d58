// Strict looks: every issue has its place, what is wrong, and how to mend it.
import { test } from "tap";
import {
  fieldErrorText,
  formatPath,
  type KubeObject,
  lint as lintWith,
  type Rollout,
  readRollout,
  rolloutErrors as rolloutErrorsWith,
  unknownFields,
} from "../../src/api/api.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";

const lint = (object: KubeObject) => lintWith(object, CAPABILITIES);
const rolloutErrors = (rollout: Rollout) => rolloutErrorsWith(rollout, CAPABILITIES);

const CONTAINER = { name: "web", image: "web:1" };

function rollout(canary: object, spec: object = {}): KubeObject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: "default" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [CONTAINER] } },
      strategy: { canary },
      ...spec,
    },
  };
}

const ROUTED = { stableService: "web", canaryService: "web-canary" };
const issues = (object: KubeObject): string[] =>
  lint(object).map(({ path, message }) => `${formatPath(path)}: ${message}`);

test("lint: a Rollout that weir carries out has no issues", (t) => {
  const steps = [
    { setWeight: 20 },
    { pause: { duration: "10s" } },
    { analysis: { templates: [{ templateName: "errors" }] } },
    { pause: {} },
  ];
  t.strictSame(issues(rollout({ steps, analysis: { templates: [{ templateName: "errors" }] } })), []);
  t.strictSame(
    issues(rollout({ ...ROUTED, steps, trafficRouting: { plugins: { "weir.dev/proxy": {} } } })),
    [],
  );
  const gateways = { plugins: { "weir.dev/proxy": { gateways: ["public"] } } };
  t.strictSame(issues(rollout({ ...ROUTED, trafficRouting: gateways })), []);
  t.end();
});

test("lint: a weight of 101 is named at its place", (t) => {
  const [issue, ...others] = lint(rollout({ steps: [{ setWeight: 101 }] }));
  t.strictSame(issue, {
    path: ["spec", "strategy", "canary", "steps", 0, "setWeight"],
    message: "Invalid value: 101: SetWeight needs to be between 0 and 100",
    mend: "correct the value; a Rollout with it is Degraded (InvalidSpec)",
  });
  t.strictSame(others, []);
  t.end();
});

test("lint: an unknown strategy is both an unknown field and a missing strategy", (t) => {
  t.strictSame(issues(rollout({}, { strategy: { rolling: {} } })), [
    "spec.strategy.rolling: is not a field that weir knows",
    "spec.strategy: Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
  ]);
  t.end();
});

test("lint: a misspelt field comes with the right one", (t) => {
  const [issue] = lint(rollout({ maxSurg: 1 }));
  t.equal(issue?.message, "is not a field that weir knows; did you mean maxSurge?");
  t.equal(issue?.mend, "correct the name, or leave it out");
  t.end();
});

test("lint: pod templates are held against Kubernetes' own structs", (t) => {
  const containers = [
    {
      ...CONTAINER,
      imagePullPolcy: "Always",
      ports: [{ containerPort: "80" }],
      resources: { limits: { memory: "lots" } },
    },
  ];
  const template = { metadata: { labels: { app: "web" } }, spec: { containers, dnsPolicy: "ClusterFirst" } };
  t.strictSame(issues(rollout({}, { template })), [
    'spec.template.spec.containers[0].ports[0].containerPort: is "80", expected an integer',
    'spec.template.spec.containers[0].resources.limits.memory: is "lots", expected a quantity such as 100m or 1Gi',
    "spec.template.spec.containers[0].imagePullPolcy: is not a field that Kubernetes knows; did you mean imagePullPolicy?",
    "spec.template.spec.containers[0].ports[0].containerPort: Required value",
  ]);
  t.end();
});

test("lint: what is not carried out yet is named, never ignored", (t) => {
  const forbidden = (object: KubeObject): string[] =>
    rolloutErrors(readRollout(object).value)
      .map(fieldErrorText)
      .filter((text) => text.includes("Forbidden"));
  t.strictSame(forbidden(rollout({ ...ROUTED, trafficRouting: { istio: {}, plugins: { "org/x": {} } } })), [
    "spec.strategy.trafficRouting.istio: Forbidden: weir does not carry out istio yet",
    "spec.strategy.trafficRouting.plugins.[org/x]: Forbidden: weir does not carry out org/x yet".replace(
      ".[",
      "[",
    ),
  ]);
  t.strictSame(forbidden(rollout({ dynamicStableScale: false })), []);
  t.end();
});

test("lint: weir's router takes no field that it does not know", (t) => {
  const routing = (settings: unknown) =>
    issues(rollout({ ...ROUTED, trafficRouting: { plugins: { "weir.dev/proxy": settings } } }));
  const at = "spec.strategy.canary.trafficRouting.plugins[weir.dev/proxy]";
  t.strictSame(routing({ gateway: "a" }), [
    `${at}.gateway: Invalid value: "a": is not a field that weir knows; did you mean gateways?`,
  ]);
  t.strictSame(routing({ gateways: [] }), [
    `${at}.gateways: Invalid value: []: is empty, expected at least one Gateway, or no list at all`,
  ]);
  t.strictSame(
    issues(rollout({ trafficRouting: { plugins: { "weir.dev/proxy": {} } } })).length,
    2,
    "both Services are required",
  );
  t.end();
});

test("lint: metrics of templates and runs", (t) => {
  const template = (...metrics: unknown[]): KubeObject => ({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors" },
    spec: { metrics, dryRun: [{ metricName: "nothing" }] },
  });
  const plugin = (settings: object) => ({ plugin: { "weir.dev/traffic": settings } });
  t.strictSame(
    issues(
      template(
        { name: "a", count: 3, provider: plugin({ metric: "errorRate" }) },
        { name: "b", provider: { prometheus: { query: "up" } } },
      ),
    ),
    [
      "spec.metrics[0].interval: metrics[0]: interval must be specified when count > 1",
      "spec.dryRun[0].metricName: dryRun[0]: Rule didn't match any metric name(s)",
      "spec.metrics[1].provider.prometheus: metrics[1]: weir does not carry out provider prometheus yet",
    ],
  );
  const [, wrong] = issues(template({ name: "a", provider: plugin({ metric: "errors" }) }));
  t.match(wrong, /^spec\.metrics\[0\]\.provider\.plugin\[weir\.dev\/traffic\]\.metric: /);
  t.equal(
    issues(template({ name: "a", provider: plugin({ metric: "{{args.metric}}" }) })).length,
    1,
    "tags are judged when they are replaced",
  );
  t.end();
});

test("lint: times that an argument fills in are left to the run", (t) => {
  const template = (interval: string) => ({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "x" },
    spec: {
      args: [{ name: "every", value: "5s" }],
      metrics: [
        {
          name: "errors",
          interval,
          initialDelay: interval,
          count: "{{args.count}}",
          provider: { plugin: { "weir.dev/traffic": { measure: "errorRate" } } },
        },
      ],
    },
  });
  const issues = (interval: string) =>
    lint(template(interval)).filter(({ path }) => /interval|initialDelay/.test(path.join(".")));
  t.strictSame(issues("{{args.every}}"), []);
  t.equal(issues("often").length, 2);
  t.end();
});

test("lint: unknown fields are listed where they stand", (t) => {
  const object = { ...rollout({ steps: [{ setWeight: 1, wait: 5 }] }), extra: 1 };
  t.strictSame(
    unknownFields("Rollout", object).map(({ path }) => formatPath(path)),
    ["spec.strategy.canary.steps[0].wait", "extra"],
  );
  t.strictSame(
    lint({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers: [], other: 1 } }),
    [],
  );
  t.end();
});

test("lint: an experiment step whose Experiment would be InvalidSpec is named at its place", (t) => {
  const templates = [
    { name: "baseline", specRef: "stable" },
    { name: "baseline", specRef: "canary", selector: { matchLabels: { app: "other" } } },
    { name: "", specRef: "canary", selector: {} },
    { name: "of-its-own", specRef: "canary", selector: {}, metadata: { labels: { app: "of-its-own" } } },
  ];
  const steps = [{ setWeight: 20 }, { experiment: { templates, duration: "5x" } }];
  const at = "spec.strategy.canary.steps[1].experiment";
  t.strictSame(issues(rollout({ steps })), [
    `${at}.templates[1].name: Duplicate value: "baseline"`,
    `${at}.templates[2].name: Required value`,
    `${at}.templates[1].selector: Invalid value: {"matchLabels":{"app":"other"}}: \`selector\` does not match the labels of the template's pods`,
    `${at}.templates[2].selector: Invalid value: {}: it selects all pods; a non-empty selector is required`,
    `${at}.duration: Invalid value: "5x": must be a duration such as 30s, 5m or 1h`,
  ]);
  const right = [{ experiment: { templates: templates.slice(0, 1), duration: "5m" } }];
  t.strictSame(issues(rollout({ steps: right })), []);
  t.end();
});

test("lint: weights of an experiment step that do not fit beside the canary's are noted, and no error", (t) => {
  const weights = (...given: readonly number[]) => ({
    experiment: {
      templates: given.map((weight, index) => ({ name: `t${index}`, specRef: "canary", weight })),
    },
  });
  const routed = {
    stableService: "web-stable",
    canaryService: "web-canary",
    trafficRouting: { plugins: { "weir.dev/proxy": {} } },
  };
  const notes = (steps: readonly object[], more: object = {}) =>
    lint(rollout({ ...routed, ...more, steps })).map(({ path, message, isNote }) => [
      path.slice(4).join("."),
      message,
      isNote,
    ]);
  t.strictSame(notes([weights(40, 60)]), [], "the canary has nothing yet");
  t.strictSame(notes([{ setWeight: 40 }, weights(30, 30)]), []);
  t.strictSame(
    notes([{ setWeight: 50 }, { pause: {} }, weights(30, 30, 5), { setWeight: 40 }, weights(60)]),
    [
      [
        "2.experiment.templates.1.weight",
        "the template gets 20 of its weight 30: no more of 100 is left beside the canary's 50",
        true,
      ],
      [
        "2.experiment.templates.2.weight",
        "the template gets 0 of its weight 5: no more of 100 is left beside the canary's 50",
        true,
      ],
    ],
  );
  t.end();
});

test("lint: a pause that is no duration is shown as it is written, with what may be written", (t) => {
  const [wrong, negative, ...others] = lint(
    rollout({
      steps: [{ pause: { duration: "5x" } }, { pause: { duration: "-5s" } }, { pause: { duration: 0 } }],
    }),
  );
  t.strictSame(wrong, {
    path: ["spec", "strategy", "canary", "steps", 0, "pause", "duration"],
    message: "Invalid value: -1: Duration needs to be greater than 0",
    mend: '"5x" is no duration: write seconds (30), or a duration such as 30s, 5m or 1h30m',
  });
  t.match(negative, { mend: /^"-5s" is negative: write seconds/ });
  t.strictSame(others, []);
  t.end();
});
