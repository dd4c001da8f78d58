// What pods that are not ready say of themselves.
import { test } from "tap";
import { type KubeObject, readPod } from "../../src/api/api.ts";
import { podTroubles } from "../../src/controller/podtroubles.ts";

const pod = (name: string, status: object, metadata: object = {}) => {
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...metadata },
    spec: {},
    status,
  };
  return readPod(object).value;
};
const crashing = {
  containerStatuses: [
    {
      name: "c",
      state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" } },
      lastState: { terminated: { exitCode: 3 } },
    },
  ],
};

test("explain: a crashing container is named with its exit code and where its log is", async (t) => {
  t.strictSame(podTroubles([pod("web-1", crashing)]), [
    "pod web-1: container c CrashLoopBackOff: back-off 10s; it ended with exit code 3, its log: kubectl logs --previous web-1 -c c",
  ]);
});

test("explain: the same words are said once, ready pods and pods on their way out say nothing", async (t) => {
  const unknown = {
    containerStatuses: [
      { name: "c", state: { waiting: { reason: "ErrImagePull", message: "give it a command" } } },
    ],
  };
  const ready = { conditions: [{ type: "Ready", status: "True" }] };
  const going = pod("web-4", unknown, { deletionTimestamp: "2026-01-01T00:00:00Z" });
  t.strictSame(podTroubles([pod("web-1", unknown), pod("web-2", unknown), pod("web-3", ready), going]), [
    "pod web-1 (and 1 more): container c ErrImagePull: give it a command",
  ]);
});
