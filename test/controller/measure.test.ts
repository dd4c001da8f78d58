// AnalysisRuns through the real controller: what ends a run before anything is measured.
import { test } from "tap";
import { RESOURCES, readAnalysisRun } from "../../src/api/api.ts";
import { controllerBed, NAMESPACE } from "./bed.ts";

test("measure: a run whose Secret is not there ends with an error, as in Argo", {
  timeout: 60_000,
}, async (t) => {
  const bed = await controllerBed(t);
  await bed.lead();
  await bed.client.create(RESOURCES.analysisRun, {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisRun",
    metadata: { name: "check", namespace: NAMESPACE },
    spec: {
      args: [{ name: "limit", valueFrom: { secretKeyRef: { name: "none", key: "limit" } } }],
      metrics: [
        {
          name: "errors",
          successCondition: "result < {{args.limit}}",
          provider: { plugin: { "weir.dev/traffic": { metric: "errorRate", version: "canary" } } },
        },
      ],
    },
  });
  const run = await bed.until("the run has ended", async () => {
    const object = await bed.client.get(RESOURCES.analysisRun, { namespace: NAMESPACE, name: "check" });
    const read = object === undefined ? undefined : readAnalysisRun(object).value;
    return read?.status.completedAt === undefined ? undefined : read;
  });
  t.equal(run.status.phase, "Error");
  t.match(run.status.message, /^Unable to resolve metric arguments: /);
  t.strictSame(run.status.metricResults ?? [], [], "nothing was measured");
});
