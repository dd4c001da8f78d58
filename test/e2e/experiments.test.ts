// Experiments on a running weir up: as a canary step with shares on the proxies and a verdict from what they count, and alone, baseline beside
// canary behind a route of the user's.
import { test } from "tap";
import {
  type Experiment,
  type KubeObject,
  RESOURCES,
  readAnalysisRun,
  readExperiment,
  readRollout,
} from "../../src/api/api.ts";
import { type RoutedShop, routedShop } from "../support/routedshop.ts";

const NAMESPACE = "default";
const TIMEOUT_MS = 60_000;
const ROUTED = {
  stableService: "shop",
  canaryService: "shop-canary",
  trafficRouting: { plugins: { "weir.dev/proxy": {} } },
};

/** Few errors among the requests that `setting` (podHash or service) names; `limit` is what the error rate must stay below. */
function fewErrors(setting: "podHash" | "service", limit: number): KubeObject {
  const settings = { metric: "errorRate", [setting]: "{{args.of}}", minRequests: 20 };
  const metric = {
    name: "error-rate",
    successCondition: `result < ${limit}`,
    provider: { plugin: { "weir.dev/traffic": settings } },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "few-errors" },
    spec: { args: [{ name: "of" }], metrics: [metric] },
  };
}

/** Waits, with `load` requests between the looks. */
async function untilExperiment(
  { client, answers }: RoutedShop,
  name: string,
  load: number,
  isWanted: (experiment: Experiment) => boolean,
): Promise<Experiment> {
  const deadlineMs = Date.now() + TIMEOUT_MS;
  for (;;) {
    const object = await client.get(RESOURCES.experiment, { namespace: NAMESPACE, name });
    const experiment = object && readExperiment(object).value;
    if (experiment !== undefined && isWanted(experiment)) return experiment;
    if (Date.now() > deadlineMs) throw new Error(`${name}: ${JSON.stringify(experiment?.status)}`);
    if (load > 0) await answers(load);
    else await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const isRunning = ({ status }: Experiment): boolean => status.phase === "Running";
const isSuccessful = ({ status }: Experiment): boolean => status.phase === "Successful";

test("experiment step: its analysis judges one template by the requests that this template answered", {
  timeout: 170_000,
}, async (t) => {
  const analysis = (template: string) => ({
    name: template,
    templateName: "few-errors",
    requiredForCompletion: true,
    args: [{ name: "of", value: `{{templates.${template}.podTemplateHash}}` }],
  });
  const templates = [
    { name: "baseline", specRef: "stable", weight: 25 },
    { name: "trial", specRef: "canary", weight: 25 },
  ];
  const analyses = [analysis("baseline"), analysis("trial")];
  const shop = await routedShop(t, {
    objects: [fewErrors("podHash", 0.05)],
    canary: {
      ...ROUTED,
      steps: [
        { setWeight: 10 },
        { experiment: { templates, analyses, scaleDownDelaySeconds: 1 } },
        { pause: {} },
      ],
    },
  });
  await shop.apply([shop.rollout("two")]);
  const { status } = await shop.until("the experiment runs", ({ status: { canary } }) => {
    const { additional = [], verified } = canary?.weights ?? {};
    return verified === true && additional.length === 2;
  });
  const name = status.canary?.currentExperiment ?? "";
  t.match(name, /^shop-[a-z0-9]+-2-1$/);
  const ended = await untilExperiment(shop, name, 5, isSuccessful);
  t.equal(ended.status.message, "Required AnalysisRuns completed");
  t.same(
    ended.status.analysisRuns?.map(({ name: of, analysisRun, phase }) => [of, analysisRun, phase]),
    [
      ["baseline", `${name}-baseline`, "Successful"],
      ["trial", `${name}-trial`, "Successful"],
    ],
  );
  const paused = await shop.until("the next step", (rollout) => rollout.status.phase === "Paused");
  t.equal(paused.status.currentStepIndex, 2);
  t.equal(paused.status.canary?.currentExperiment, undefined);
  t.same(paused.status.canary?.weights?.additional, undefined);
  const hashes = new Map(ended.status.templateStatuses?.map((one) => [one.name, one.podTemplateHash]));
  const run = await shop.client.get(RESOURCES.analysisRun, { namespace: NAMESPACE, name: `${name}-trial` });
  t.same(run && readAnalysisRun(run).value.spec.args, [{ name: "of", value: hashes.get("trial") }]);
  const noted = await shop.noted();
  for (const { name: template } of templates)
    t.ok(noted.filter(({ pod }) => pod.startsWith(`${name}-${template}-`)).length >= 20, template);

  // The same with a limit that no version can keep: the update is aborted in Argo's words.
  await shop.apply([fewErrors("podHash", 0), shop.rollout("three")]);
  const load = (async () => {
    for (let turn = 0; turn < 400; turn += 1) {
      await shop.answers(5);
      const object = await shop.client.get(RESOURCES.rollout, { namespace: NAMESPACE, name: "shop" });
      if (object && readRollout(object).value.status.abort === true) return;
    }
  })();
  const aborted = await shop.until("the update is aborted", (rollout) => rollout.status.abort === true);
  await load;
  t.match(
    aborted.status.message,
    /Rollout aborted update to revision 3: Experiment analysis phase is error\/failed: Metric "error-rate" assessed Failed/,
  );
  t.same(aborted.status.canary?.weights?.additional, undefined, "no share is left behind");
});

test("experiment alone: baseline and canary behind a route, judged, taken down, run again", {
  timeout: 170_000,
}, async (t) => {
  const shop = await routedShop(t, { canary: ROUTED });
  await shop.apply([fewErrors("service", 0.5), duel(shop), routeToDuel()]);
  const running = await untilExperiment(shop, "duel", 0, isRunning);
  t.match(running.status.availableAt, /^\d{4}-/);
  await untilServed(shop);
  const ended = await untilExperiment(shop, "duel", 5, isSuccessful);
  t.equal(ended.status.message, "Required AnalysisRuns completed");
  const noted = await shop.noted();
  const answered = (template: string) =>
    noted.filter(({ pod, version }) => pod.startsWith(`duel-${template}-`) && version === template).length;
  t.ok(answered("baseline") >= 20 && answered("canary") >= 20, JSON.stringify(noted.length));

  const shown = await shop.up.weir(["get", "experiment", "duel"]);
  t.match(shown.stdout, /Status: +✔ Successful\nMessage: +Required AnalysisRuns completed/);
  t.match(shown.stdout, /├──⧉ duel-baseline +ReplicaSet/);
  t.match(shown.stdout, /└──α duel-canary +AnalysisRun +✔ Successful/);
  const listed = await shop.up.weir(["list", "experiments"]);
  t.match(listed.stdout, /NAME +STATUS +DURATION +REMAINING +AGE\nduel +Successful +10m +- /);

  const isDown = (one: Experiment): boolean =>
    (one.status.templateStatuses ?? []).every(({ replicas, serviceName }) => replicas === 0 && !serviceName);
  await untilExperiment(shop, "duel", 0, isDown);
  for (const name of ["duel-baseline", "duel-canary"])
    t.equal(await shop.client.get(RESOURCES.service, { namespace: NAMESPACE, name }), undefined, name);

  const retried = await shop.up.weir(["retry", "experiment", "duel"]);
  t.match(retried.stdout, "experiment 'duel' retried");
  await untilExperiment(shop, "duel", 0, isRunning);
  await untilServed(shop);
  const again = await untilExperiment(shop, "duel", 5, isSuccessful);
  t.same(
    again.status.analysisRuns?.map(({ analysisRun }) => analysisRun),
    ["duel-baseline.1", "duel-canary.1"],
  );
});

/** The gateway knows both templates' pods: until then a request in a while fails, which the analysis bears. */
async function untilServed({ answers }: RoutedShop): Promise<void> {
  const seen = new Set<string>();
  const deadlineMs = Date.now() + TIMEOUT_MS;
  while (!seen.has("baseline") || !seen.has("canary")) {
    if (Date.now() > deadlineMs) throw new Error(`the gateway answers ${[...seen].join(", ")} only`);
    for (const answer of Object.keys(await answers(1))) seen.add(answer);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The shop's pods twice, each version behind a Service of its own. */
function duel(shop: RoutedShop): KubeObject {
  const podSpec = (version: string): object => {
    // What routedShop writes.
    const { template: pods } = shop.rollout(version).spec as { readonly template: { readonly spec: object } };
    return pods.spec;
  };
  const names = ["baseline", "canary"];
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Experiment",
    metadata: { name: "duel" },
    spec: {
      duration: "10m",
      scaleDownDelaySeconds: 1,
      templates: names.map((name) => {
        const labels = { app: "duel", template: name };
        const template = { metadata: { labels }, spec: podSpec(name) };
        return { name, selector: { matchLabels: labels }, service: {}, template };
      }),
      analyses: names.map((name) => ({
        name,
        templateName: "few-errors",
        requiredForCompletion: true,
        args: [{ name: "of", value: `{{templates.${name}.replicaset.name}}` }],
      })),
    },
  };
}

function routeToDuel(): KubeObject {
  const backendRefs = ["duel-baseline", "duel-canary"].map((name) => ({ name, port: 8080, weight: 50 }));
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "shop" },
    spec: { parentRefs: [{ name: "shop" }], rules: [{ backendRefs }] },
  };
}
