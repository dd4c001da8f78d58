// The generated CRDs: up to date, structural, and accepted by a real API server that then serves the kinds as Argo's own CRDs do.
import { readFileSync } from "node:fs";
import { type Test, test } from "tap";
import { crdFiles } from "../../scripts/crds.ts";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS } from "../../src/cluster/client.ts";
import { isObject } from "../../src/lib/json.ts";
import { startTestBed, type TestBed } from "../support/testbed.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** A Rollout with something of every sort that a structural schema could get wrong. */
function rolloutIn(namespace: string): KubeObject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          containers: [
            { name: "web", image: "web:1", resources: { limits: { cpu: 0.5 } }, unknownToday: true },
          ],
        },
      },
      strategy: {
        canary: {
          maxSurge: "25%",
          maxUnavailable: 0,
          unknownField: 1,
          stableService: "web",
          canaryService: "web-canary",
          trafficRouting: { plugins: { "weir.dev/proxy": { gateways: ["public"] } } },
          steps: [
            { setWeight: 20 },
            { pause: { duration: 10 } },
            { pause: { duration: "10s" } },
            { pause: {} },
            { plugin: { name: "a/b", config: { any: ["json", 1] } } },
          ],
        },
      },
    },
  };
}

test("crds: the files are what the schemas generate", (t) => {
  for (const [name, text] of crdFiles()) {
    const path = new URL(`../../deploy/crds/${name}`, import.meta.url);
    t.equal(readFileSync(path, "utf8"), text, `deploy/crds/${name}: npm run generate`);
  }
  t.end();
});

test("crds: on a real API server", { timeout: 120_000 }, async (t) => {
  const bed = await startTestBed(t);
  if (bed === undefined) return;
  await t.test("crds: they are structural", (inner) => areStructural(inner, bed));
  await t.test("crds: a Rollout keeps what its schema names, and every field of its pod template", (inner) =>
    rolloutKeepsItsFields(inner, bed),
  );
  await t.test("crds: an AnalysisRun's status is written with the object", (inner) =>
    runKeepsItsStatus(inner, bed),
  );
});

async function areStructural(t: Test, bed: TestBed): Promise<void> {
  for (const type of [
    RESOURCES.rollout,
    RESOURCES.analysisRun,
    RESOURCES.analysisTemplate,
    RESOURCES.clusterAnalysisTemplate,
    RESOURCES.experiment,
  ]) {
    const name = `${type.plural}.${type.group}`;
    const waited = await bed.kubectl(["wait", `crd/${name}`, "--for=condition=Established", "--timeout=20s"]);
    t.equal(waited.code, 0, waited.stderr);
    const crd = await bed.client.request("GET", `${CRDS}/${name}`);
    const status = isObject(crd) && isObject(crd.status) ? crd.status : {};
    const conditions = Array.isArray(status.conditions) ? status.conditions : [];
    const states = Object.fromEntries(conditions.map(({ type: kind, status: state }) => [kind, state]));
    t.strictSame(states, { Established: "True", NamesAccepted: "True" }, type.kind);
  }
}

async function rolloutKeepsItsFields(t: Test, bed: TestBed): Promise<void> {
  const { client } = bed;
  const namespace = await bed.namespace("crds");
  const written = rolloutIn(namespace);
  const { spec } = await client.create(RESOURCES.rollout, written);
  const { unknownField: _pruned, ...canary } = (
    written.spec as { strategy: { canary: Record<string, unknown> } }
  ).strategy.canary;
  t.strictSame(spec, { ...(written.spec as object), strategy: { canary } });

  const ref = { namespace, name: "web" };
  const status = {
    phase: "Healthy",
    observedGeneration: "1",
    HPAReplicas: 2,
    selector: "app=web",
    unknown: 1,
  };
  const patched = await client.patch(
    RESOURCES.rollout,
    ref,
    { type: "merge", body: { status, spec: { replicas: 9 } } },
    { subresource: "status" },
  );
  t.strictSame(patched.status, {
    phase: "Healthy",
    observedGeneration: "1",
    HPAReplicas: 2,
    selector: "app=web",
  });
  t.equal(patched.metadata.generation, 1, "a status write raises no generation and touches no spec");

  const scaled = await bed.kubectl(["scale", "rollout/web", "--replicas=3", "-n", namespace]);
  t.equal(scaled.code, 0, scaled.stderr);
  const listed = await bed.kubectl(["get", "ro", "-n", namespace, "--no-headers"]);
  t.match(listed.stdout, /^web\s+3\s/);

  const selector = { matchLabels: { app: "other" } };
  await t.rejects(client.patch(RESOURCES.rollout, ref, { type: "merge", body: { spec: { selector } } }), {
    code: CLUSTER_ERRORS.invalid,
    message: /\.spec\.selector is immutable/,
  });
  const bad = { spec: { replicas: "three" } };
  await t.rejects(client.patch(RESOURCES.rollout, ref, { type: "merge", body: bad }), {
    code: CLUSTER_ERRORS.invalid,
  });
}

async function runKeepsItsStatus(t: Test, bed: TestBed): Promise<void> {
  const namespace = await bed.namespace("crds");
  const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
  const run = await bed.client.create(RESOURCES.analysisRun, {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisRun",
    metadata: { name: "run", namespace },
    spec: { metrics: [{ name: "errors", count: "{{args.count}}", failureLimit: 2, provider }] },
  });
  const measurements = [{ phase: "Successful", value: "0.01", startedAt: "2026-01-02T03:04:05Z" }];
  const status = {
    phase: "Running",
    metricResults: [{ name: "errors", phase: "Running", count: 1, measurements }],
  };
  const updated = await bed.client.update(RESOURCES.analysisRun, { ...run, status });
  t.strictSame(updated.status, status);
  t.strictSame(updated.spec, run.spec);
}
