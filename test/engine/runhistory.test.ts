// Which finished runs and Experiments go.
import { test } from "tap";
import { contextOf } from "../../src/engine/context.ts";
import { beyondHistory } from "../../src/engine/steps/runhistory.ts";
import { worldWith } from "../support/world.ts";

test("run history: those of versions that are gone, and of each outcome those beyond its limit, the oldest", (t) => {
  const analysis = { successfulRunHistoryLimit: 1, unsuccessfulRunHistoryLimit: 2 };
  const world = worldWith({ replicas: 1, spec: { analysis } });
  world.settle();
  const context = contextOf(world.snapshot(), world.nowMs);
  const label = "rollouts-pod-template-hash";
  const run = (name: string, phase: "Successful" | "Failed" | "Error" | "Running", minute: string) => ({
    metadata: {
      name,
      labels: { [label]: context.podHash },
      creationTimestamp: `2026-01-01T00:${minute}:00Z`,
    },
    status: { phase },
  });
  const runs = [
    run("good-1", "Successful", "01"),
    run("good-3", "Successful", "03"),
    run("good-2", "Successful", "02"),
    run("bad-1", "Failed", "01"),
    run("bad-2", "Error", "02"),
    run("bad-3", "Failed", "03"),
    run("open", "Running", "00"),
    run("shown", "Successful", "00"),
    { metadata: { name: "gone", labels: { [label]: "another" } }, status: { phase: "Successful" as const } },
    { metadata: { name: "bare" }, status: { phase: "Failed" as const } },
    { metadata: { name: "open-bare" }, status: {} },
  ];
  t.strictSame(
    beyondHistory(context, runs, new Set(["shown"])).map(({ metadata }) => metadata.name),
    ["gone", "bare", "good-2", "good-1", "bad-1"],
  );
  t.end();
});
