// Templates and arguments: flattening, merging, replacing tags, secrets.
import { test } from "tap";
import { type NamedTemplate, resolveMetric, runSpecFromTemplates } from "../../src/analysis/assess.ts";
import type { AnalysisTemplateSpec, Metric } from "../../src/api/api.ts";

const aMetric = (name: string): Metric => ({ name, provider: { plugin: { "weir.dev/traffic": {} } } });
const aTemplate = (name: string, spec: AnalysisTemplateSpec): NamedTemplate => ({ metadata: { name }, spec });

test("runspec: nested templates are flattened, each once, namespaced ones first", async (t) => {
  const templates = [
    aTemplate("top", {
      metrics: [aMetric("a")],
      templates: [{ templateName: "shared", clusterScope: true }, { templateName: "inner" }],
    }),
    aTemplate("inner", { metrics: [aMetric("b")], templates: [{ templateName: "top" }] }),
  ];
  const clusterTemplates = [aTemplate("shared", { metrics: [aMetric("c")] })];
  const refs = [{ templateName: "shared", clusterScope: true }, { templateName: "top" }];
  const result = runSpecFromTemplates({ refs, templates, clusterTemplates });
  t.equal(result.kind, "ok");
  if (result.kind === "ok")
    t.strictSame(
      result.spec.metrics.map(({ name }) => name),
      ["a", "b", "c"],
    );
});

test("runspec: the Rollout's arguments win, and only declared ones are kept", async (t) => {
  const templates = [
    aTemplate("one", {
      metrics: [aMetric("a")],
      args: [
        { name: "service" },
        { name: "limit", value: "5" },
        { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
      ],
    }),
  ];
  const args = [
    { name: "service", value: "web" },
    { name: "other", value: "x" },
  ];
  const result = runSpecFromTemplates({
    refs: [{ templateName: "one" }],
    templates,
    clusterTemplates: [],
    args,
  });
  t.strictSame(result, {
    kind: "ok",
    spec: {
      metrics: [aMetric("a")],
      args: [
        { name: "service", value: "web" },
        { name: "limit", value: "5" },
        { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
      ],
    },
  });
});

test("runspec: what is missing or contradicts itself is named", async (t) => {
  const templates = [
    aTemplate("one", { metrics: [aMetric("a")], args: [{ name: "x" }] }),
    aTemplate("two", { metrics: [aMetric("a")] }),
    aTemplate("three", { metrics: [aMetric("c")], args: [{ name: "y", value: "1" }] }),
    aTemplate("four", { metrics: [aMetric("d")], args: [{ name: "y", value: "2" }] }),
    aTemplate("five", { metrics: [aMetric("e")], dryRun: [{ metricName: "e" }] }),
  ];
  const messageOf = (...names: readonly string[]): unknown => {
    const refs = names.map((templateName) => ({ templateName }));
    const dryRun = [{ metricName: "e" }];
    const result = runSpecFromTemplates({ refs, templates, clusterTemplates: [], dryRun });
    return result.kind === "error" ? result.message : result;
  };
  t.equal(messageOf("one"), "args.x was not resolved");
  t.equal(messageOf("one", "two"), "two metrics have the same name 'a'");
  t.equal(
    messageOf("three", "four"),
    "Argument `y` specified multiple times with different values: '1', '2'",
  );
  t.equal(messageOf("five"), "dryRun[1]: duplicate metric name 'e'");
  t.equal(messageOf("none"), "AnalysisTemplate 'none' not found");
});

test("resolve: tags are replaced as JSON text, secrets are read now and reported for redaction", async (t) => {
  const metric: Metric = {
    name: "m",
    successCondition: 'result == "{{ args.quote }}"',
    provider: {
      web: { url: "http://{{args.host}}/", headers: [{ key: "Authorization", value: "{{args.token}}" }] },
    },
  };
  const args = [
    { name: "quote", value: 'a"b\n{{args.host}}' },
    { name: "host", value: "h" },
    { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
  ];
  const resolved = resolveMetric(metric, args, (name, key) =>
    `${name}/${key}` === "s/k" ? "hunter2" : undefined,
  );
  t.equal(resolved.kind, "ok");
  if (resolved.kind === "ok") {
    t.equal(resolved.value.metric.successCondition, 'result == "a"b\n{{args.host}}"');
    t.equal(resolved.value.metric.provider.web?.url, "http://h/");
    t.equal(resolved.value.metric.provider.web?.headers?.[0]?.value, "hunter2");
    t.strictSame(resolved.value.secrets, ["hunter2"]);
  }
  const missing = resolveMetric(metric, args, () => undefined);
  t.strictSame(missing, { kind: "error", message: "key 'k' does not exist in secret 's'" });
  const unknown = resolveMetric(metric, args.slice(1), () => "x");
  t.strictSame(unknown, { kind: "error", message: "failed to resolve {{ args.quote }}" });
});
