// A crash after any part of a plan leads to the same end: histories at random, and those that once led elsewhere. A failing history is printed
// shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import { crashConverges } from "./ends.ts";
import { type History, histories, NAMES, STRATEGIES } from "./histories.ts";
import { HISTORY_OPTIONS } from "./options.ts";

for (const strategy of STRATEGIES) {
  test(`properties: a crash after any part of a plan of ${NAMES[strategy]} leads to the same end`, async (t) => {
    fc.assert(
      fc.property(histories(strategy), fc.integer({ min: 0, max: 8 }), crashConverges),
      HISTORY_OPTIONS,
    );
    t.pass("every crash converged");
  });
}

/** A canary without a router, freshly deployed. */
const PLAIN = {
  replicas: 1,
  shape: { steps: [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: { duration: 10 } }] },
  isWarm: false,
  isReferring: false,
  isAcking: false,
} as const;

/** Histories that once led elsewhere, and after how many writes the controller died. */
const KNOWN: readonly { readonly name: string; readonly history: History; readonly writes: number }[] = [
  {
    name: "a pod that a budget protects is evicted in the moment in which it is not ready",
    history: {
      ...PLAIN,
      events: [
        { kind: "tick", seconds: 1 },
        { kind: "stale", meanwhile: { kind: "image", index: 2 } },
        { kind: "tick", seconds: 1 },
        { kind: "budget", count: 1 },
        { kind: "stale", meanwhile: { kind: "abort" } },
        { kind: "restartPods" },
        { kind: "crashPod", role: "stable", restarts: 1 },
      ],
    },
    writes: 1,
  },
  {
    name: "spec.replicas falls while an analysis is inconclusive, and proxies hold pods back",
    history: {
      replicas: 4,
      shape: {
        isRouted: true,
        steps: [{ setWeight: 30 }, { analysis: { templates: [{ templateName: "errors" }] } }],
        canary: { dynamicStableScale: true },
      },
      isWarm: true,
      isReferring: false,
      isAcking: false,
      events: [
        { kind: "replicas", count: 2 },
        { kind: "measure", phase: "Inconclusive" },
      ],
    },
    writes: 0,
  },
  {
    name: "the run of the next step is made, and its leader dies before the status says so",
    history: {
      ...PLAIN,
      shape: { ...PLAIN.shape, isRouted: true },
      isWarm: true,
      isAcking: true,
      events: [{ kind: "steps", index: 2 }, { kind: "pass" }, { kind: "ready", role: "stable", count: 0 }],
    },
    writes: 1,
  },
  {
    name: "the deadline passes while a leader that has just begun cannot name the proxies that are silent",
    history: {
      replicas: 3,
      shape: {
        isRouted: true,
        blueGreen: {
          autoPromotionSeconds: 20,
          postPromotionAnalysis: { templates: [{ templateName: "errors" }] },
        },
        spec: { progressDeadlineSeconds: 30 },
      },
      isWarm: true,
      isReferring: false,
      isAcking: false,
      events: [
        { kind: "tick", seconds: 20 },
        { kind: "tick", seconds: 30 },
      ],
    },
    writes: 0,
  },
  {
    name: "other steps come when the deadline that an analysis has rested would be over",
    history: {
      ...PLAIN,
      shape: {
        steps: [{ setWeight: 30 }, { analysis: { templates: [{ templateName: "errors" }] } }],
        spec: { progressDeadlineAbort: true, progressDeadlineSeconds: 30 },
      },
      isWarm: true,
      events: [
        { kind: "tick", seconds: 30 },
        { kind: "steps", index: 1 },
      ],
    },
    writes: 2,
  },
  {
    name: "the analysis before the switch ends when the deadline that it has rested would be over",
    history: {
      ...PLAIN,
      shape: {
        isRouted: true,
        blueGreen: { prePromotionAnalysis: { templates: [{ templateName: "errors" }] } },
        spec: { progressDeadlineAbort: true, progressDeadlineSeconds: 30 },
      },
      isWarm: true,
      events: [
        { kind: "promoteFull" },
        { kind: "tick", seconds: 30 },
        { kind: "measure", phase: "Successful" },
      ],
    },
    writes: 0,
  },
  {
    name: "a share falls at a setCanaryScale above it, and stable follows its traffic",
    history: {
      replicas: 4,
      shape: {
        isRouted: true,
        routing: { managedRoutes: [{ name: "testers" }, { name: "copies" }] },
        steps: [{ setWeight: 30 }, { analysis: { templates: [{ templateName: "errors" }] } }],
        canary: { dynamicStableScale: true },
      },
      isWarm: true,
      isReferring: false,
      isAcking: false,
      events: [
        { kind: "steps", index: 5 },
        { kind: "promoteFull" },
        { kind: "image", index: 1 },
        { kind: "stale", meanwhile: { kind: "image", index: 2 } },
      ],
    },
    writes: 0,
  },
  {
    name: "pods that a setCanaryScale takes away are ready for a moment, or never",
    history: {
      ...PLAIN,
      shape: { isRouted: true, steps: [{ setCanaryScale: { replicas: 0 } }] },
      events: [
        { kind: "readiness", isAuto: false },
        { kind: "steps", index: 0 },
        { kind: "tick", seconds: 1 },
        { kind: "image", index: 2 },
        { kind: "tick", seconds: 0 },
        { kind: "steps", index: 9 },
      ],
    },
    writes: 0,
  },
  {
    name: "pods that a setCanaryScale takes away are ready for a moment, or never, after an abort that came too early",
    history: {
      ...PLAIN,
      shape: { ...PLAIN.shape, isRouted: true, canary: { dynamicStableScale: true } },
      events: [
        { kind: "settle" },
        { kind: "image", index: 2 },
        { kind: "stale", meanwhile: { kind: "abort" } },
        { kind: "stale", meanwhile: { kind: "abort" } },
        { kind: "steps", index: 9 },
      ],
    },
    writes: 0,
  },
  {
    name: "pods that a setCanaryScale leaves to the traffic lose it when they fail, and come back",
    history: {
      ...PLAIN,
      shape: {
        isRouted: true,
        steps: [
          { setWeight: 100 },
          { setCanaryScale: { weight: 0 } },
          { pause: {} },
          { setCanaryScale: { weight: 0 } },
        ],
      },
      isWarm: true,
      events: [
        { kind: "ready", role: "canary", count: 0 },
        { kind: "tick", seconds: 0 },
        { kind: "ready", role: "canary", count: 0 },
      ],
    },
    writes: 0,
  },
  {
    name: "pods that a setCanaryScale asked for are ready for a moment, or the next step takes them away before",
    history: {
      ...PLAIN,
      shape: {
        isRouted: true,
        steps: [
          { pause: { duration: 10 } },
          { setCanaryScale: { weight: 100 } },
          { setCanaryScale: { matchTrafficWeight: true } },
          { pause: {} },
        ],
        canary: { dynamicStableScale: true },
      },
      isWarm: true,
      events: [
        { kind: "paused", isPaused: true },
        { kind: "tick", seconds: 10 },
      ],
    },
    writes: 1,
  },
  {
    name: "a pause beside a setCanaryScale is promoted while a leader that has just begun knows no proxies",
    history: {
      ...PLAIN,
      shape: {
        isRouted: true,
        steps: [{ pause: {}, setCanaryScale: { matchTrafficWeight: true } }],
        canary: { dynamicStableScale: true },
      },
      isWarm: true,
      events: [{ kind: "paused", isPaused: true }, { kind: "promote" }, { kind: "tick", seconds: 0 }],
    },
    writes: 1,
  },
  {
    name: "an aborted version that had the traffic is retried in its preview's size before the proxies have followed",
    history: {
      replicas: 2,
      shape: {
        isRouted: true,
        blueGreen: {
          previewReplicaCount: 1,
          postPromotionAnalysis: { templates: [{ templateName: "errors" }] },
        },
      },
      isWarm: true,
      isReferring: false,
      isAcking: false,
      events: [
        { kind: "abort" },
        { kind: "settle" },
        { kind: "retry" },
        { kind: "crash", writes: 0 },
        { kind: "image", index: 1 },
      ],
    },
    writes: 0,
  },
];

for (const { name, history, writes } of KNOWN) {
  test(`properties: a crash leads to the same end when ${name}`, async (t) => {
    t.doesNotThrow(() => crashConverges(history, writes));
  });
}
