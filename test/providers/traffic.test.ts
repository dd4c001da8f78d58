// The metric weir.dev/traffic over a real store: values, the minimum of requests, settings, and what is unsupported.
import { test } from "tap";
import { evaluateCondition } from "../../src/analysis/assess.ts";
import {
  createProviders,
  findProvider,
  type MeasureContext,
  type Outcome,
  TrafficStore,
} from "../../src/providers/providers.ts";

const T0 = Date.parse("2026-01-02T03:04:05Z");

interface Counted {
  readonly requests: number;
  readonly error?: number;
  readonly le_4?: number;
  readonly le_128?: number;
}

function measure(
  settings: Readonly<Record<string, unknown>>,
  counted: Counted | undefined,
  conditions: { readonly success?: string; readonly failure?: string } = {},
  fields: Partial<MeasureContext> = {},
  cluster = "default/web:80/abc",
): Promise<Outcome> {
  const store = new TrafficStore(T0);
  if (counted !== undefined) {
    const cumulative = new Map(Object.entries(counted).map(([name, value]) => [`r/${name}`, value]));
    const clusters = [{ cluster, cumulative, delta: { succeeded: 0, failed: 0 } }];
    store.accept({ nodeId: "gw", epoch: String(T0), atMs: T0 + 1000, clusters });
  }
  const table = createProviders({ traffic: store });
  const found = findProvider(table, { name: "m", provider: { plugin: { "weir.dev/traffic": settings } } });
  if (found.kind !== "found") throw new Error(found.message);
  const context: MeasureContext = {
    namespace: "default",
    service: "web",
    podHashes: { canary: "abc", stable: "def" },
    runStartedAtMs: T0,
    nowMs: T0 + 2000,
    evaluate: (result) => evaluateCondition({ ...conditions, result, nowMs: T0 + 2000 }),
    ...fields,
  };
  return found.provider.measure(found.settings, context, AbortSignal.timeout(1000));
}

test("traffic: rates, counts and latencies are one float each", async (t) => {
  const counted = { requests: 200, error: 10, le_4: 100, le_128: 100 };
  t.strictSame(await measure({ metric: "successRate" }, counted, { success: "result >= 0.95" }), {
    phase: "Successful",
    value: "0.95",
  });
  t.strictSame(await measure({ metric: "errorRate" }, counted, { failure: "result > 0.01" }), {
    phase: "Failed",
    value: "0.05",
  });
  t.strictSame(await measure({ metric: "requests" }, counted, { success: "result == 200" }), {
    phase: "Successful",
    value: "200",
  });
  t.strictSame(await measure({ metric: "latency", quantile: "0.5" }, counted, { success: "result <= 4" }), {
    phase: "Successful",
    value: "4",
  });
  t.match(await measure({ metric: "latency" }, counted, { success: "result < 100" }), { phase: "Failed" });
});

test("traffic: below minRequests a measurement goes on", async (t) => {
  const few = { requests: 5, error: 0 };
  t.strictSame(await measure({ metric: "successRate" }, few, { success: "result >= 0.95" }), {
    phase: "Running",
    message: "5 of 20 requests",
    value: "1",
    resumeAtMs: T0 + 3000,
  });
  t.match(await measure({ metric: "successRate", minRequests: 5 }, few, { success: "result >= 0.95" }), {
    phase: "Successful",
  });
  t.match(await measure({ metric: "successRate", minRequests: 0 }, { requests: 0 }), {
    phase: "Running",
    message: "0 of 1 requests",
  });
  t.match(await measure({ metric: "successRate" }, undefined), {
    phase: "Running",
    message: "no proxy has reported yet",
  });
});

test("traffic: below minRequests it fails as soon as nothing can save it", async (t) => {
  const success = "result >= 0.95";
  t.match(await measure({ metric: "successRate" }, { requests: 5, error: 1 }, { success }), {
    phase: "Running",
  });
  t.strictSame(await measure({ metric: "successRate" }, { requests: 5, error: 2 }, { success }), {
    phase: "Failed",
    value: "0.6",
  });
  t.match(await measure({ metric: "errorRate" }, { requests: 5, error: 2 }, { failure: "result > 0.05" }), {
    phase: "Failed",
    value: "0.4",
  });
  const slow = { requests: 12, le_128: 12 };
  t.match(await measure({ metric: "latency", quantile: 0.5 }, slow, { success: "result < 50" }), {
    phase: "Failed",
  });
  t.match(await measure({ metric: "latency", quantile: 0.3 }, slow, { success: "result < 50" }), {
    phase: "Running",
  });
});

test("traffic: since and version choose what is counted", async (t) => {
  const counted = { requests: 50, error: 50 };
  t.match(await measure({ metric: "requests", since: "1s" }, counted), { value: "50" });
  t.match(await measure({ metric: "requests", since: "500ms" }, counted), { value: "0" });
  t.match(await measure({ metric: "requests", since: "step" }, counted, {}, { stepStartedAtMs: T0 + 2000 }), {
    value: "0",
  });
  t.match(await measure({ metric: "requests", since: "step" }, counted), { value: "50" });
  t.match(await measure({ metric: "requests", version: "stable" }, counted), { value: "0" });
  t.match(await measure({ metric: "requests", route: "q" }, counted), { value: "0" });
  t.match(await measure({ metric: "requests" }, counted, {}, { podHashes: {} }), {
    phase: "Error",
    message: "weir.dev/traffic: the run does not say which pods are canary",
  });
});

test("traffic: wrong settings are an Error that names the field", async (t) => {
  const messageOf = async (settings: Readonly<Record<string, unknown>>): Promise<string> => {
    const { phase, message } = await measure(settings, undefined);
    return `${phase} ${message ?? ""}`;
  };
  t.match(await messageOf({ metric: "sucessRate" }), /^Error weir\.dev\/traffic: metric: /);
  t.match(await messageOf({ metric: "latency", quantil: 1 }), /^Error weir\.dev\/traffic: .*quantil/);
  t.match(await messageOf({ metric: "latency", quantile: 1.5 }), /^Error weir\.dev\/traffic: quantile: /);
  t.match(
    await messageOf({ metric: "requests", quantile: 0.5 }),
    /quantile: applies to the metric latency only/,
  );
  t.match(
    await messageOf({ metric: "requests", since: "soon" }),
    /since: is not "step", "run" or a duration/,
  );
  t.match(await messageOf({}), /^Error weir\.dev\/traffic: metric: /);
});

test("providers: what is not carried out is named", async (t) => {
  const table = createProviders({ traffic: new TrafficStore(T0) });
  const found = findProvider(table, { name: "m", provider: { prometheus: { query: "up" } } });
  t.match(found, { kind: "unsupported", message: /provider prometheus is not carried out yet/ });
  t.match(findProvider(table, { name: "m", provider: { plugin: { "a/b": {} } } }), {
    message: /provider a\/b /,
  });
});

test("traffic: an open measurement of an ending run is a success", async (t) => {
  const table = createProviders({ traffic: new TrafficStore(T0) });
  const context: MeasureContext = {
    namespace: "default",
    podHashes: {},
    runStartedAtMs: T0,
    nowMs: T0,
    evaluate: () => ({ phase: "Failed" }),
  };
  const outcome = await table["weir.dev/traffic"]?.terminate({}, context, AbortSignal.timeout(1000));
  t.strictSame(outcome, { phase: "Successful", message: "Metric Terminated" });
});

test("traffic: podHash counts a template of an Experiment, behind whatever Service it stands", async (t) => {
  const counted = { requests: 30, error: 0 };
  const condition = { success: "result == 30" };
  const settings = { metric: "requests", podHash: "lab" };
  const at = "default/web-2-1-lab:8080/lab";
  t.match(await measure(settings, counted, condition, {}, at), { phase: "Successful", value: "30" });
  t.match(await measure({ metric: "requests" }, counted, condition, {}, at), { value: "0" });
});

test("traffic: service counts a Service that no Rollout splits, and excludes podHash", async (t) => {
  const counted = { requests: 30, error: 3 };
  const settings = { metric: "errorRate", service: "duel-a" };
  const condition = { success: "result < 0.2" };
  const alone = { podHashes: {} };
  t.match(await measure(settings, counted, condition, alone, "default/duel-a:80"), {
    phase: "Successful",
    value: "0.1",
  });
  t.match(
    await measure(settings, counted, condition, alone),
    { phase: "Running" },
    "a version is another thing",
  );
  t.match(await measure({ ...settings, podHash: "abc" }, counted), {
    phase: "Error",
    message: /service: excludes podHash/,
  });
});
