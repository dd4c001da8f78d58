// `weir lint`: where, what and how to mend it; what is an error and what a note; never a crash, whatever the text.
import { readFileSync } from "node:fs";
import { glob, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "tap";
import { stringify } from "yaml";
import { lineOf } from "../../src/cli/lint.ts";
import { lintObjects } from "../../src/cli/lintfiles.ts";
import { main } from "../../src/cli/main.ts";
import { parseObjects } from "../../src/cli/manifests.ts";
import { rolloutManifest } from "../../src/simulate/manifest.ts";

const lines = (...texts: readonly string[]): readonly string[] =>
  lintObjects(texts.map((text, index) => parseObjects(`${"abcd"[index]}.yaml`, text))).map(lineOf);

/** Runs the command as a user does. */
async function lintFiles(
  ...args: readonly string[]
): Promise<{ code: number; out: string[]; err: string[] }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(["lint", ...args], {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    write: (text) => out.push(text),
    env: {},
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

const SERVICE = (name: string, app: string): string =>
  stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app }, ports: [{ port: 80 }] },
  });
const ROLLOUT = (canary: object, spec: object = {}): string => {
  const { metadata, ...rest } = rolloutManifest({ canary: { ...canary }, spec: { ...spec } });
  return stringify({ ...rest, metadata: { name: metadata.name } });
};
const ROUTED = { stableService: "web-stable", canaryService: "web-canary" };

/** Pieces of YAML that do not go together. */
const YAML_PARTS = 'spec|kind|- |: |[|}|&a |*a|\n|\n  |---\n|Rollout|!!binary |"|\t|\0|{}|1e999'.split("|");
const ODD_VALUES = [
  null,
  [],
  {},
  [null],
  [[]],
  [{}],
  "",
  "x",
  -1,
  1e300,
  "1e99999999",
  true,
  { "": {} },
  { a: [1] },
];
const API_VERSIONS: Readonly<Record<string, string>> = {
  Rollout: "argoproj.io/v1alpha1",
  AnalysisTemplate: "argoproj.io/v1alpha1",
  AnalysisRun: "argoproj.io/v1alpha1",
  Experiment: "argoproj.io/v1alpha1",
  HTTPRoute: "gateway.networking.k8s.io/v1",
  Gateway: "gateway.networking.k8s.io/v1",
  TrafficPolicy: "weir.dev/v1alpha1",
  Service: "v1",
  Ingress: "networking.k8s.io/v1",
};
/** Fields of a spec that an odd value is put into. */
const PLACES = [
  ..."strategy strategy.canary strategy.canary.steps strategy.canary.trafficRouting strategy.blueGreen template".split(
    " ",
  ),
  ..."template.spec template.spec.containers template.spec.volumes template.metadata selector rules metrics".split(
    " ",
  ),
  ..."args targetRefs templates replicas listeners ports workloadRef".split(" "),
];

test("lint: every fault has file, line, column, field and remedy", async (t) => {
  const golden = (name: string): string => readFileSync(new URL(`lint/${name}`, import.meta.url), "utf8");
  const found = lines(golden("faults.yaml"));
  t.strictSame(`${found.join("\n")}\n`, golden("faults.out"));
});

test("lint: what a Rollout names is looked up among the files, in its namespace; what is not there is a note", async (t) => {
  const routing = { trafficRouting: { plugins: { "weir.dev/proxy": {} } } };
  const rollout = ROLLOUT({ ...ROUTED, ...routing });
  t.strictSame(lines(rollout, SERVICE("web-stable", "web"), SERVICE("web-canary", "web")), []);
  t.strictSame(lines(rollout, SERVICE("web-stable", "other")), [
    'a.yaml:18:22: error: spec.strategy.canary.stableService: Invalid value: "web-stable": Service "web-stable" has unmatch label "app" in rollout (correct either of them)',
    'a.yaml:19:22: note: spec.strategy.canary.canaryService: service "web-canary" is not in these files (it must be in the cluster)',
  ]);
  const elsewhere = SERVICE("web-stable", "web").replace("metadata:", "metadata:\n  namespace: other");
  t.match(lines(rollout, elsewhere, SERVICE("web-canary", "web")), [
    /note: .*service "web-stable" is not in/,
  ]);
});

test("lint: a TrafficPolicy is checked though the files hold none of its targets, and each fault is told once", async (t) => {
  const policy = (spec: object): string =>
    stringify({
      apiVersion: "weir.dev/v1alpha1",
      kind: "TrafficPolicy",
      metadata: { name: "p", namespace: "shop" },
      spec: { targetRefs: [{ kind: "HTTPRoute", name: "web", sectionName: "rule" }], ...spec },
    });
  t.strictSame(lines(policy({ timeouts: { request: "3s" } })), []);
  t.match(lines(policy({ timeouts: { request: "soon" }, limits: { connections: 5 } })), [
    /error: spec\.timeouts\.request: "soon" is not a duration such as 10s/,
    /error: spec\.limits: limits has no meaning on a HTTPRoute; it goes on Gateway/,
  ]);
  const onService = { targetRefs: [{ kind: "Service", name: "web" }], loadBalancer: { policy: "Random" } };
  t.match(lines(policy(onService)), [/error: spec\.loadBalancer\.policy: "Random" is not RoundRobin, /]);
  const onGateway = { targetRefs: [{ kind: "Gateway", name: "edge" }], tracing: { requestId: "always" } };
  t.match(lines(policy(onGateway)), [/error: spec\.tracing\.requestId: "always" is not make, keep or off/]);
  const gateway = stringify({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "edge", namespace: "shop" },
    spec: { gatewayClassName: "weir", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
  });
  t.equal(lines(policy(onGateway), gateway).length, 1);
});

test("lint: Ingresses that routers name are looked up among the files, and their settings held against the rules", async (t) => {
  const services = ["web-stable", "web-canary"].map((name) => SERVICE(name, "web"));
  const ingress = (service: string): string =>
    stringify({
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "shop" },
      spec: { rules: [{ http: { paths: [{ backend: { service: { name: service } } }] } }] },
    });
  const rollout = (nginx: object): string => ROLLOUT({ ...ROUTED, trafficRouting: { nginx } });
  const found = (nginx: object, ...more: readonly string[]): readonly string[] =>
    lines(rollout(nginx), ...services, ...more).map((line) => line.replace(/^\S+ /, ""));
  t.strictSame(found({ stableIngress: "shop" }, ingress("web-stable")), []);
  t.strictSame(found({ stableIngress: "shop" }), [
    'note: spec.strategy.canary.trafficRouting.nginx.stableIngress: ingress "shop" is not in these files (it must be in the cluster)',
  ]);
  t.strictSame(found({ stableIngress: "shop" }, ingress("other")), [
    'error: spec.strategy.canary.trafficRouting.nginx.stableIngress: Invalid value: "shop": ingress `shop` has no rules using service web-stable backend (correct either of them)',
  ]);
  t.strictSame(found({}), [
    "error: spec.strategy.canary.trafficRouting.nginx: Internal error: Either StableIngress or StableIngresses must be configured. Neither are configured. (correct the value)",
  ]);
});

test("lint: templates of analyses are held against what the Rollout gives them", async (t) => {
  const metric = {
    name: "rate",
    interval: "10s",
    provider: { plugin: { "weir.dev/traffic": { metric: "requests" } } },
  };
  const template = stringify({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "rate" },
    spec: { args: [{ name: "region" }], metrics: [metric] },
  });
  const analysis = (args: readonly object[]): string =>
    ROLLOUT({ steps: [{ analysis: { templates: [{ templateName: "rate" }], args } }] });
  t.match(lines(analysis([]), template), [
    /a\.yaml:\d+:\d+: error: .*analysis\.templates: Invalid value: "templateNames: \[rate\]": args\.region was not resolved/,
  ]);
  t.match(lines(analysis([{ name: "region", value: "eu" }]), template), [
    /has metric rate which runs indefinitely/,
  ]);
});

test("lint: a condition that does not compile is an error where it counts, and a note where it is dry-run", async (t) => {
  const template = (condition: string, more: object = {}): string => {
    const provider = { plugin: { "weir.dev/traffic": { metric: "requests" } } };
    const metrics = [{ name: "rate", successCondition: condition, provider }];
    const spec = { args: [{ name: "limit", value: "1" }], metrics, ...more };
    const metadata = { name: "rate" };
    return stringify({ apiVersion: "argoproj.io/v1alpha1", kind: "AnalysisTemplate", metadata, spec });
  };
  const wrong = "result[0 <<< 3 and (";
  t.match(lines(template(wrong)), [
    /error: spec\.metrics\[0\]\.successCondition: .+ at column \d+.* \(correct the condition; a run of it would end in phase Error\)$/,
  ]);
  t.match(lines(template("reslut < 1")), [/error: .*unknown name reslut at column 1/]);
  t.strictSame(lines(template("result < {{args.limit}} && (")), [], "with an argument it is the run's");
  t.match(lines(template("(".repeat(50_000))), [/error: .*successCondition/]);
  const dryRun = [{ metricName: "ra.*" }];
  const note = /note: .*\(correct the condition; its metric is dry-run, and counts for nothing\)$/;
  t.match(lines(template(wrong, { dryRun })), [note]);
  const rollout = (name: string): string =>
    ROLLOUT({
      steps: [{ analysis: { templates: [{ templateName: "rate" }], dryRun: [{ metricName: name }] } }],
    });
  t.match(lines(template(wrong), rollout("rate")), [note]);
  t.match(lines(template(wrong), rollout("other")), [/Rule didn't match/, /error: .*successCondition/]);
});

test("lint: a misspelt kind or version of weir's own groups is said; kinds of others are left alone", async (t) => {
  const kind = (apiVersion: string, name: string): string =>
    stringify({ apiVersion, kind: name, metadata: { name: "x" } });
  t.strictSame(lines(kind("argoproj.io/v1alpha1", "Rolout")), [
    "a.yaml:2:7: error: kind: argoproj.io/v1alpha1 Rolout is not a kind that weir handles; did you mean Rollout? (correct the kind)",
  ]);
  t.strictSame(lines(kind("argoproj.io/v1", "Rollout")), [
    "a.yaml:2:7: error: apiVersion: argoproj.io/v1 Rollout is not a kind that weir handles (write apiVersion argoproj.io/v1alpha1)",
  ]);
  t.strictSame(lines(kind("argoproj.io/v1alpha1", "Workflow"), kind("example.com/v1", "Thing")), []);
});

test("lint: routes and policies are held against what the proxies carry out", async (t) => {
  const route = stringify({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "shop" },
    spec: {
      parentRefs: [{ name: "public" }],
      rules: [
        { filters: [{ type: "ExtensionRef" }], backendRefs: [{ name: "shop", port: 80 }] },
        { backendRefs: [{ name: "shop", port: 80 }] },
      ],
    },
  });
  t.match(lines(route), [
    /a\.yaml:10:11: error: spec\.rules\[0\]\.filters\[0\]: filter ExtensionRef is not carried out/,
    /a\.yaml:15:11: note: spec\.rules\[1\]\.backendRefs\[0\]: Service shop does not exist/,
  ]);
});

test("lint: Experiments are held against their schema, their pods' rules and the templates that they name", async (t) => {
  const pod = (name: string): object => ({
    metadata: { labels: { app: "a" } },
    spec: { containers: [{ name, image: "a:1" }] },
  });
  const selector = { matchLabels: { app: "a" } };
  const experiment = (spec: object): string =>
    stringify({ apiVersion: "argoproj.io/v1alpha1", kind: "Experiment", metadata: { name: "e" }, spec });
  const right = { name: "a", selector, template: pod("web") };
  t.strictSame(lines(experiment({ templates: [right] })), []);
  const wrong = { duraton: "5m", templates: [right, { ...right, template: pod("Web_1") }] };
  t.match(lines(experiment({ ...wrong, analyses: [{ name: "x", templateName: "errors" }] })), [
    /error: spec\.duraton: is not a field that weir knows; did you mean duration\?/,
    /error: spec\.templates\[1\]\.name: Experiment e has repeated template name 'a' in templates/,
    /error: spec\.templates\[1\]\.template\.spec\.containers\[0\]\.name: Invalid value: "Web_1"/,
    /note: spec\.analyses\[0\]\.templateName: AnalysisTemplate "errors" is not in these files/,
  ]);
});

test("lint: all that is wrong with an Experiment is told, each at its place", async (t) => {
  const template = {
    metadata: { labels: { app: "a" } },
    spec: { containers: [{ name: "a", image: "a:1" }] },
  };
  const selector = { matchLabels: { app: "a" } };
  const slow = { name: "a", minReadySeconds: 700, selector, template };
  const spec = {
    duration: "soon",
    templates: [
      slow,
      { name: "a", selector, template },
      { name: "", selector: { matchLabels: {} }, template },
    ],
    analyses: [
      { name: "q", templateName: "t" },
      { name: "q", templateName: "t" },
    ],
  };
  const experiment = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Experiment",
    metadata: { name: "e" },
    spec,
  };
  const found = lines(stringify(experiment)).map((line) => line.replace(/^\S+ (.*) \(.*\)$/, "$1"));
  const at = "error: spec.templates";
  t.strictSame(found.toSorted(), [
    'error: spec.duration: Invalid value: "soon": must be a duration such as 30s, 5m or 1h',
    `${at}[0].minReadySeconds: MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 0`,
    `${at}[1].name: Experiment e has repeated template name 'a' in templates`,
    `${at}[2].name: Experiment e has empty template name at index 2`,
    `${at}[2].selector: This experiment is selecting all pods at index 2. A non-empty selector is required.`,
    'note: spec.analyses[0].templateName: AnalysisTemplate "t" is not in these files',
    'note: spec.analyses[1].name: Duplicate value: "q"',
    'note: spec.analyses[1].templateName: AnalysisTemplate "t" is not in these files',
  ]);
});

test("lint: the Services that an Experiment makes are not missed", async (t) => {
  const [kind, apiVersion] = ["HTTPRoute", "gateway.networking.k8s.io/v1"];
  const backend = (name: string): object => ({ backendRefs: [{ name, port: 8080 }] });
  const spec = { parentRefs: [{ name: "web" }], rules: ["e-a", "own", "e-c"].map(backend) };
  const route = stringify({ apiVersion, kind, metadata: { name: "web" }, spec });
  const containers = [{ name: "web", image: "web:1", ports: [{ containerPort: 8080 }] }];
  const version = (name: string, rest: object): object => {
    const template = { metadata: { labels: { app: name } }, spec: { containers } };
    return { name, selector: { matchLabels: { app: name } }, template, ...rest };
  };
  const templates = [
    version("a", { service: {} }),
    version("b", { service: { name: "own" } }),
    version("c", {}),
  ];
  const experiment = { apiVersion: "argoproj.io/v1alpha1", kind: "Experiment", metadata: { name: "e" } };
  t.match(lines(route, stringify({ ...experiment, spec: { templates } })), [
    /note: spec\.rules\[2\]\.backendRefs\[0\]: Service e-c does not exist/,
  ]);
});

test("lint: a misspelt field at the top is named with what was meant, and nothing that follows from it", async (t) => {
  const right = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {}\n";
  const found = (name: string, wrong: string): readonly string[] =>
    lines(right.replace(`${name}:`, `${wrong}:`));
  const words = "is not a field that weir knows; did you mean";
  t.strictSame(found("kind", "knid"), [`a.yaml:2:1: error: knid: ${words} kind?`]);
  t.strictSame(found("metadata", "metdaata"), [`a.yaml:3:1: error: metdaata: ${words} metadata?`]);
  t.strictSame(found("apiVersion", "apiVerison"), [`a.yaml:1:1: error: apiVerison: ${words} apiVersion?`]);
  t.strictSame(found("spec", "sepc"), [
    `a.yaml:4:1: error: sepc: ${words} spec? (correct the name, or leave it out)`,
  ]);
});

test("lint: a workload that the Rollout refers to is looked up, and gives the template", async (t) => {
  const { spec, ...rest } = rolloutManifest({});
  const { template, selector, ...own } = spec as { readonly template: object; readonly selector: object };
  const workloadRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  const rollout = stringify({ ...rest, spec: { ...own, workloadRef } });
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: { selector, template },
  };
  t.strictSame(lines(rollout, stringify(deployment)), []);
  t.match(lines(rollout), [
    /note: spec\.workloadRef: deployments\.apps "default\/web" is not in these files/,
  ]);
});

test("lint: what two rules or two places have to say is said once, and mended where it can be", async (t) => {
  const { spec, ...rest } = rolloutManifest({});
  const workloadRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  t.match(lines(stringify({ ...rest, spec: { ...(spec as object), workloadRef } })), [
    /error: spec\.template: Internal error: template must be empty for workload reference rollout/,
  ]);
  const setHeaderRoute = { name: "h", match: [{ headerName: "a", headerValue: { exact: "b" } }] };
  const trafficRouting = { plugins: { "weir.dev/proxy": {} } };
  const routed = ROLLOUT({ ...ROUTED, trafficRouting, steps: [{ setHeaderRoute }, { setHeaderRoute }] });
  const services = ["web-stable", "web-canary"].map((name) => SERVICE(name, "web"));
  t.equal(lines(routed, ...services).length, 1);
  const template = stringify({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors" },
    spec: {
      args: [{ name: "limit" }],
      metrics: [{ name: "m", provider: { plugin: { "weir.dev/traffic": { metric: "requests" } } } }],
    },
  });
  const analysed = ROLLOUT({ steps: [{ analysis: { templates: [{ templateName: "errors" }] } }] });
  t.match(lines(analysed, template), [
    /args\.limit was not resolved \(correct the analysis here, or its templates\)$/,
  ]);
});

test("lint: a template that another object lends is held against the rules as the Rollout's own is", async (t) => {
  const { spec, ...rest } = rolloutManifest({});
  const { template: _, ...own } = spec as { readonly template: object };
  const workloadRef = { apiVersion: "v1", kind: "PodTemplate", name: "pods" };
  const rollout = stringify({ ...rest, spec: { ...own, workloadRef } });
  const containers = [{ name: "web", image: "web:1" }];
  const template = { metadata: { labels: { app: "other" } }, spec: { restartPolicy: "Never", containers } };
  const pods = stringify({ apiVersion: "v1", kind: "PodTemplate", metadata: { name: "pods" }, template });
  const at = "a.yaml:15:5: error: spec.workloadRef: spec.template";
  const mend = "(correct the PodTemplate; a Rollout with it is Degraded (InvalidSpec))";
  t.strictSame(lines(rollout, pods), [
    `${at}.metadata.labels: Invalid value: {"app":"other"}: \`selector\` does not match template \`labels\` ${mend}`,
    `${at}.spec.restartPolicy: Unsupported value: "Never": supported values: "Always" ${mend}`,
  ]);
});

test("lint: AnalysisRuns and Experiments may have a generateName alone, and are checked all the same", async (t) => {
  const apiVersion = "argoproj.io/v1alpha1";
  const of = (kind: string, metadata: object, spec: object): string =>
    stringify({ apiVersion, kind, metadata, spec });
  const provider = { plugin: { "weir.dev/traffic": { metric: "requests" } } };
  const run = (metadata: object, rest: object = {}): string =>
    of("AnalysisRun", metadata, {
      metrics: [{ name: "m", successCondition: "result > 100", provider, ...rest }],
    });
  const labels = { app: "web" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "web", image: "web:1" }] } };
  const pods = { selector: { matchLabels: labels }, template };
  const experiment = of("Experiment", { generateName: "e-" }, { templates: [{ name: "a", ...pods }] });
  t.strictSame(lines(run({ generateName: "smoke-" }), run({ generateName: "smoke-" }), experiment), []);
  t.match(lines(run({ generateName: "smoke-" }, { cuont: 3 })), [/error: spec\.metrics\[0\]\.cuont: /]);
  for (const metadata of [{}, { generateName: "" }, { generateName: 1 }, { name: 1 }])
    t.match(lines(run(metadata)), [/error: metadata\.name: is missing$/]);
  t.match(lines(of("Rollout", { generateName: "web-" }, {})), [/error: metadata\.name: is missing$/]);
});

test("lint: a broken document is an error, and the others of its file are checked all the same", async (t) => {
  t.match(lines(`${SERVICE("web", "web")}---\na: [\n---\n- a list\n---\nkind: Service\n`), [
    /a\.yaml:\d+:1: error: is not YAML: /,
    /error: a manifest is an object with apiVersion, kind and metadata$/,
    /error: apiVersion is missing$/,
  ]);
});

test("lint: exit code and formats: 1 with errors, 0 with notes alone, 2 for wrong usage; JSON for programs", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-lint-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const bad = join(folder, "bad.yaml");
  const good = join(folder, "good.yaml");
  await writeFile(bad, ROLLOUT({ steps: [{ setWeight: 101 }] }));
  await writeFile(good, ROLLOUT(ROUTED));
  const failed = await lintFiles("-f", bad);
  t.equal(failed.code, 1);
  t.equal(failed.out.at(-1), "1 error in 1 object of 1 file");
  const passed = await lintFiles("-f", good);
  t.equal(passed.code, 0);
  t.equal(passed.out.at(-1), "no errors in 1 object of 1 file");
  const json = JSON.parse((await lintFiles("-f", folder, "-o", "json")).out.join("\n"));
  t.match(json, { objects: 2, errors: 1 });
  t.match(json.findings[0], {
    file: bad,
    severity: "error",
    object: "Rollout default/web",
    field: "spec.strategy.canary.steps[0].setWeight",
    message: "Invalid value: 101: SetWeight needs to be between 0 and 100",
  });
  t.equal((await lintFiles()).code, 2);
  t.equal((await lintFiles("-f", good, "-o", "xml")).code, 2);
  const gone = await lintFiles("-f", join(folder, "gone.yaml"));
  t.equal(gone.code, 1);
  t.match(gone.out, [/gone\.yaml:1:1: error: cannot be read: ENOENT/, "1 error in 0 objects of 1 file"]);
});

test("lint: a file that cannot be read hides nothing of the others, in JSON as well", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-lint-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const bad = join(folder, "bad.yaml");
  await writeFile(bad, ROLLOUT({ stesp: [] }));
  const files = [join(folder, "gone.yaml"), bad];
  const { out } = await lintFiles("-f", ...files);
  t.match(out, [/gone\.yaml:1:1: error: cannot be read/, /bad\.yaml:\d+:\d+: error: .*stesp/, /^2 errors/]);
  const json = await lintFiles("-o", "json", "-f", ...files);
  t.match(JSON.parse(json.out.join("\n")), { errors: 2, objects: 1 });
  t.equal(json.code, 1);
  const err: string[] = [];
  const io = { out: () => undefined, write: () => undefined, env: {}, signal: new AbortController().signal };
  t.equal(await main(["apply", "-f", ...files], { ...io, err: (line) => err.push(line) }), 1);
  t.match(
    err.join("\n"),
    /gone\.yaml:1:1: cannot be read[\s\S]*bad\.yaml:\d+:\d+: .*stesp[\s\S]*nothing was applied/,
  );
});

test("lint: where there is nothing to check it says why", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-lint-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const words = async (path: string): Promise<string> => {
    const { code, err } = await lintFiles("-f", path);
    t.equal(code, 1);
    return err.join("\n").replaceAll(folder, "F");
  };
  await mkdir(join(folder, "outer", "inner"), { recursive: true });
  await writeFile(join(folder, "empty.yaml"), "# nothing\n");
  const says = (what: string): string => `weir: nothing to check\n${what}`;
  t.equal(await words(join(folder, "empty.yaml")), says("F/empty.yaml: holds no object"));
  t.equal(
    await words(join(folder, "outer")),
    says(
      "F/outer: is a folder without a .yaml, .yml or .json file; folders in it are not read, name them: F/outer/inner",
    ),
  );
  t.equal(
    await words("deploy/crds"),
    says(
      "deploy/crds: holds only kinds that weir does not handle: apiextensions.k8s.io/v1 CustomResourceDefinition",
    ),
  );
});

test("lint: the examples and the manifests for Kubernetes have no errors", async (t) => {
  const files = await Array.fromAsync(glob("deploy/{examples,kubernetes}/**/*.yaml"));
  t.ok(files.length > 5, `${files.length} files`);
  for (const file of files)
    t.strictSame(
      lines(readFileSync(file, "utf8")).filter((line) => line.includes(": error: ")),
      [],
      file,
    );
});

test("lint: never throws, whatever the text", async (t) => {
  const parts = fc.array(fc.oneof(fc.constantFrom(...YAML_PARTS), fc.string()), { maxLength: 30 });
  fc.assert(
    fc.property(parts, (words) => void lines(words.join(""))),
    { numRuns: 300, seed: 7 },
  );
  t.pass();
});

test("lint: never throws, whatever the objects", async (t) => {
  const odd = fc.oneof(fc.constantFrom(...ODD_VALUES), fc.object({ maxDepth: 3 }));
  const changes = fc.array(fc.tuple(fc.constantFrom(...PLACES), odd), { maxLength: 4 });
  const object = fc.tuple(fc.constantFrom(...Object.entries(API_VERSIONS)), changes);
  const textOf = ([[kind, apiVersion], edits]: readonly [[string, string], [string, unknown][]]): string => {
    const routed = rolloutManifest({ isRouted: true, steps: [{ setWeight: 5 }] }).spec;
    const base: unknown = kind === "Rollout" ? routed : {};
    const spec = edits.reduce((value, [at, change]) => changed(value, at.split("."), change), base);
    return stringify({ apiVersion, kind, metadata: { name: "web" }, spec });
  };
  fc.assert(
    fc.property(fc.array(object, { maxLength: 3 }), (all) => void lines(all.map(textOf).join("---\n"))),
    { numRuns: 500, seed: 7 },
  );
  t.pass();
});

function changed(value: unknown, [key = "", ...rest]: readonly string[], change: unknown): unknown {
  const object = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  const inner: unknown = Reflect.get(object, key);
  return { ...object, [key]: rest.length === 0 ? change : changed(inner, rest, change) };
}

test("lint: a misspelt field beside the right one is shown at its own line and column, with the right one", async (t) => {
  const service = `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{port: 80}]
  selector: {app: web}
  prots: [{port: 81}]
`;
  t.strictSame(lines(service), [
    "a.yaml:7:3: note: spec.prots: is not a field that weir knows; ports, which stands beside it, is (correct the name, or leave it out)",
  ]);
  const rollout = ROLLOUT({ maxSurge: 1, maxSruge: 2 });
  const line = rollout.split("\n").findIndex((text) => text.includes("maxSruge")) + 1;
  const column = (rollout.split("\n")[line - 1]?.indexOf("maxSruge") ?? 0) + 1;
  t.strictSame(lines(rollout), [
    `a.yaml:${line}:${column}: error: spec.strategy.canary.maxSruge: is not a field that weir knows; maxSurge, which stands beside it, is (correct the name, or leave it out)`,
  ]);
});
