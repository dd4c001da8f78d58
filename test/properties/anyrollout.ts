// Rollouts of all fields, valid and odd, and statuses that nobody may have written: what a server without weir's rules could hold.
import fc from "fast-check";

/** What may stand where something else should. */
export const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, "", 0, -1, 1e18, 1e308, "1e9h", [], {}, [null], { a: null }),
  fc.integer(),
  fc.string({ maxLength: 4 }),
);

/** Mostly as it should be. */
function field(arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary }, { weight: 1, arbitrary: odd });
}

/** Any of these fields, none required. */
function some(fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<object> {
  const wrapped = Object.entries(fields).map(([name, arbitrary]) => [name, field(arbitrary)] as const);
  return fc.record(Object.fromEntries(wrapped), { requiredKeys: [] });
}

const flag = fc.boolean();
const count = fc.integer({ min: -2, max: 200 });
const name = fc.constantFrom("web-stable", "web-canary", "other", "");
const percent = fc.oneof(count, fc.constantFrom("25%", "0%", "100%", "x", "1000%"));
const duration = fc.oneof(count, fc.constantFrom("10s", "1h", "0", "90000h", "x", "-5m", "292277026596y"));
const time = fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z", "never", "0001-01-01T00:00:00Z");
const labels = fc.dictionary(
  fc.constantFrom("a", "app", "rollouts-pod-template-hash"),
  fc.constantFrom("web", "x"),
);
const metadata = some({ labels, annotations: labels });
const match = some({ exact: name, prefix: name, regex: fc.constantFrom("a+", "(", "") });
const templates = fc.array(some({ templateName: fc.constantFrom("errors", "missing"), clusterScope: flag }), {
  maxLength: 2,
});
const analysis = some({
  templates,
  args: fc.array(
    some({ name, value: name, valueFrom: some({ podTemplateHashValue: fc.constant("Latest") }) }),
    {
      maxLength: 2,
    },
  ),
  startingStep: count,
  analysisRunMetadata: metadata,
});

const step = fc.oneof(
  some({ setWeight: count }),
  some({ pause: some({ duration }) }),
  some({ analysis }),
  some({ setCanaryScale: some({ weight: count, replicas: count, matchTrafficWeight: flag }) }),
  some({
    setHeaderRoute: some({
      name,
      match: fc.array(some({ headerName: name, headerValue: match }), { maxLength: 2 }),
    }),
  }),
  some({
    setMirrorRoute: some({
      name,
      percentage: count,
      match: fc.array(some({ method: match, path: match, headers: fc.dictionary(name, match) }), {
        maxLength: 2,
      }),
    }),
  }),
  some({
    experiment: some({
      templates: fc.array(
        some({
          name,
          specRef: fc.constantFrom("canary", "stable", "x"),
          replicas: count,
          weight: count,
          metadata,
        }),
        { maxLength: 2 },
      ),
      duration,
      analyses: fc.array(some({ name, templateName: name, requiredForCompletion: flag }), { maxLength: 2 }),
    }),
  }),
  some({ plugin: some({ name: fc.constantFrom("weir.dev/webhook", "a/b", ""), config: odd }) }),
  some({ setWeight: count, pause: some({}) }),
);

const antiAffinity = some({
  preferredDuringSchedulingIgnoredDuringExecution: some({ weight: count }),
  requiredDuringSchedulingIgnoredDuringExecution: some({}),
});
const managedRoutes = fc.array(some({ name }), { maxLength: 2 });
const trafficRouting = some({
  plugins: fc.oneof(
    fc.constant({ "weir.dev/proxy": {} }),
    fc.dictionary(fc.constantFrom("weir.dev/proxy", "a/b"), odd),
  ),
  managedRoutes,
  maxTrafficWeight: count,
  nginx: some({ stableIngress: name, stableIngresses: fc.array(name, { maxLength: 2 }) }),
  alb: some({ ingress: name, servicePort: count, rootService: name }),
  istio: some({ virtualService: some({ name }) }),
});
const canary = some({
  canaryService: name,
  stableService: name,
  steps: fc.array(step, { maxLength: 5 }),
  trafficRouting,
  maxSurge: percent,
  maxUnavailable: percent,
  analysis,
  antiAffinity,
  canaryMetadata: metadata,
  stableMetadata: metadata,
  scaleDownDelaySeconds: count,
  scaleDownDelayRevisionLimit: count,
  abortScaleDownDelaySeconds: count,
  dynamicStableScale: flag,
  pingPong: some({ pingService: name, pongService: name }),
  minPodsPerReplicaSet: count,
  replicaProgressThreshold: some({ type: fc.constantFrom("Percent", "Pods"), value: count }),
});
const blueGreen = some({
  activeService: name,
  previewService: name,
  previewReplicaCount: count,
  autoPromotionEnabled: flag,
  autoPromotionSeconds: count,
  maxUnavailable: percent,
  scaleDownDelaySeconds: count,
  scaleDownDelayRevisionLimit: count,
  prePromotionAnalysis: analysis,
  postPromotionAnalysis: analysis,
  antiAffinity,
  previewMetadata: metadata,
  activeMetadata: metadata,
  abortScaleDownDelaySeconds: count,
});
const template = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("web:1", "web:2", "web:3", "web:9").map((image) => ({
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "main", image }] },
    })),
  },
  { weight: 1, arbitrary: some({ metadata, spec: some({ containers: fc.array(odd, { maxLength: 2 }) }) }) },
);

/** A spec. */
export const anyRollout: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 20,
    arbitrary: some({
      replicas: count,
      selector: fc.oneof(fc.constant({ matchLabels: { app: "web" } }), some({ matchLabels: labels })),
      template,
      workloadRef: some({ apiVersion: fc.constant("apps/v1"), kind: fc.constant("Deployment"), name }),
      minReadySeconds: count,
      rollbackWindow: some({ revisions: count }),
      strategy: fc.oneof(some({ canary }), some({ blueGreen }), some({ canary, blueGreen })),
      revisionHistoryLimit: count,
      paused: flag,
      progressDeadlineSeconds: count,
      progressDeadlineAbort: flag,
      restartAt: time,
      analysis: some({ successfulRunHistoryLimit: count, unsuccessfulRunHistoryLimit: count }),
    }),
  },
  { weight: 1, arbitrary: odd },
);

const hash = fc.constantFrom("6dcd5ffff6", "7dcbc4c9bf", "gone", "");
const destination = some({ weight: count, serviceName: name, podTemplateHash: hash });
const run = some({
  name: fc.constantFrom("run", ""),
  status: fc.constantFrom("Running", "Failed", "x"),
  message: name,
});

/** A status. */
export const anyStatus: fc.Arbitrary<unknown> = some({
  abort: flag,
  abortedAt: time,
  pauseConditions: fc.array(
    some({
      reason: fc.constantFrom("CanaryPauseStep", "BlueGreenPause", "InconclusiveAnalysisRun", "x"),
      startTime: time,
    }),
    { maxLength: 2 },
  ),
  controllerPause: flag,
  currentPodHash: hash,
  currentStepHash: hash,
  currentStepIndex: count,
  stableRS: hash,
  collisionCount: count,
  replicas: count,
  updatedReplicas: count,
  readyReplicas: count,
  availableReplicas: count,
  HPAReplicas: count,
  selector: name,
  observedGeneration: fc.constantFrom("1", "x", "99"),
  workloadObservedGeneration: fc.constantFrom("1", ""),
  conditions: fc.array(
    some({
      type: fc.constantFrom("Progressing", "Available", "Paused", "Healthy", "InvalidSpec", "x"),
      status: fc.constantFrom("True", "False", "Unknown", "x"),
      reason: fc.constantFrom("RolloutAborted", "RolloutPaused", "ProgressDeadlineExceeded", ""),
      message: name,
      lastUpdateTime: time,
      lastTransitionTime: time,
    }),
    { maxLength: 3 },
  ),
  phase: fc.constantFrom("Healthy", "Degraded", "x"),
  message: name,
  restartedAt: time,
  promoteFull: flag,
  canary: some({
    weights: some({
      canary: destination,
      stable: destination,
      additional: fc.array(destination, { maxLength: 2 }),
      verified: flag,
    }),
    currentStepAnalysisRunStatus: run,
    currentBackgroundAnalysisRunStatus: run,
    currentExperiment: name,
    stablePingPong: fc.constantFrom("ping", "pong", "x"),
    stepPluginStatuses: fc.array(
      some({
        index: count,
        name,
        operation: fc.constantFrom("Run", "Terminate", "Abort"),
        phase: fc.constantFrom("Running", "Successful", "Failed", "Error"),
        backoff: duration,
        executions: count,
        status: odd,
      }),
      { maxLength: 2 },
    ),
  }),
  blueGreen: some({
    previewSelector: hash,
    activeSelector: hash,
    scaleUpPreviewCheckPoint: flag,
    prePromotionAnalysisRunStatus: run,
    postPromotionAnalysisRunStatus: run,
  }),
  duration: some({
    rolloutStartedAt: time,
    manualPauseStartedAt: time,
    totalManualPauseDurationSeconds: count,
  }),
});
