// The controller's figures over HTTP: names as documented, values that follow what happened.
import { readFileSync } from "node:fs";
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import {
  createMetrics,
  HTTP_LISTEN_FAILED,
  METRICS,
  plain,
  servePages,
} from "../../src/controller/controller.ts";
import { controllerBed, NAMESPACE } from "./bed.ts";

test("metrics: what the controller does shows at /metrics, and goes with the Rollout", {
  timeout: 60_000,
}, async (t) => {
  const bed = await controllerBed(t);
  const metrics = createMetrics();
  const leader = await bed.lead({ metrics });
  const proxy = bed.proxy([leader], "a");
  await bed.ready(proxy);
  const server = await servePages(
    { host: "127.0.0.1", port: 0 },
    {
      "/metrics": async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
    },
  );
  t.teardown(() => server.close());
  const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  const text = await scrape();
  const labels = 'namespace="default",name="web"';
  t.match(text, `rollout_info{${labels},strategy="canary",traffic_router="weir",phase="Completed"} 1`);
  t.match(text, `rollout_info_replicas_available{${labels}} 2`);
  t.match(text, `rollout_info_replicas_unavailable{${labels}} 0`);
  t.match(text, `rollout_events_total{${labels},type="Normal",reason="RolloutCompleted"} 1`);
  t.match(text, new RegExp(`weir_weight_acknowledgement_seconds_count\\{${labels}\\} [1-9]`));
  t.match(text, new RegExp(`rollout_reconcile_count\\{${labels}\\} [1-9]`));
  t.match(text, 'rollout_duration_seconds_count{status="Promoted"} 1');
  t.match(text, 'rollout_manual_pause_duration_seconds_sum{status="Promoted"} 0');
  t.match(text, /process_resident_memory_bytes \d/);
  for (const name of Object.keys(METRICS)) t.match(text, `# HELP ${name} `);
  await bed.client.delete(RESOURCES.rollout, { namespace: NAMESPACE, name: "web" });
  await bed.until("its series are gone", async () => !(await scrape()).includes(labels));
  const missing = await fetch(`http://127.0.0.1:${server.port}/nothing`);
  t.equal(missing.status, 404);
});

test("metrics: the names and labels are those of Argo's metrics", async (t) => {
  const argo: Readonly<Record<string, string>> = {
    rollout_info: "namespace, name, strategy, traffic_router, phase",
    rollout_info_replicas_available: "namespace, name",
    rollout_info_replicas_unavailable: "namespace, name",
    rollout_info_replicas_desired: "namespace, name",
    rollout_info_replicas_updated: "namespace, name",
    rollout_phase: "namespace, name, strategy, phase",
    rollout_reconcile: "namespace, name",
    rollout_reconcile_error: "namespace, name",
    rollout_events_total: "namespace, name, type, reason",
    rollout_duration_seconds: "status",
    rollout_progression_duration_seconds: "status",
    rollout_manual_pause_duration_seconds: "status",
    analysis_run_info: "namespace, name, phase",
    analysis_run_phase: "namespace, name, phase",
    analysis_run_metric_type: "namespace, name, metric, type",
    analysis_run_metric_phase: "namespace, name, metric, type, dry_run, phase",
    analysis_run_reconcile: "namespace, name",
    analysis_run_reconcile_error: "namespace, name",
    analysis_template_info: "namespace, name",
    analysis_template_metric_info: "namespace, name, type, metric",
    experiment_info: "namespace, name, phase",
    experiment_phase: "namespace, name, phase",
    experiment_reconcile: "namespace, name",
    experiment_reconcile_error: "namespace, name",
  };
  const reference = readFileSync(`${import.meta.dirname}/../../docs/reference/metrics.md`, "utf8");
  for (const [name, labels] of Object.entries(argo)) {
    t.ok(name in METRICS, name);
    t.match(reference, new RegExp(`^\\| \`${name}\` \\| \\w+ \\| ${labels} \\|`, "m"), name);
  }
});

test("metrics: the reference lists every figure", async (t) => {
  const reference = readFileSync(`${import.meta.dirname}/../../docs/reference/metrics.md`, "utf8");
  for (const [name, help] of Object.entries(METRICS)) t.match(reference, new RegExp(`\`${name}\` .*${help}`));
});

test("metrics: a port that is taken is an error with its name", async (t) => {
  const page = { "/healthz": () => plain(200, "ok") };
  const first = await servePages({ host: "127.0.0.1", port: 0 }, page);
  t.teardown(() => first.close());
  await t.rejects(servePages({ host: "127.0.0.1", port: first.port }, page), { code: HTTP_LISTEN_FAILED });
  t.equal(await (await fetch(`http://127.0.0.1:${first.port}/healthz`)).text(), "ok\n");
});
