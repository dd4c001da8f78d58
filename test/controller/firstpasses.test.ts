// A leader begins with one pass over every Rollout. One whose pass fails and fails keeps proxies waiting for a bounded time only.
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { FIRST_PASSES_MS } from "../../src/controller/lead.ts";
import { BOUNDED, isAt } from "./acknowledged.ts";
import { canaryWeight, controllerBed } from "./bed.ts";

const LEASE = { lease: { leaseMs: 15_000, renewMs: 10_000, retryMs: 200 } };

test(
  "lead: a Rollout whose first pass keeps failing is published as a pass would decide it, after a while",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { canary: { steps: [{ setWeight: 20 }, { pause: {} }] } });
    const first = await bed.lead(LEASE);
    const second = await bed.lead({ ...LEASE, isLeading: false });
    const a = bed.proxy([first, second], "a");
    await bed.ready(a);
    await bed.image("2");
    const paused = await bed.untilRollout("paused at 20", isAt(1, 20, true));
    second.fail((request) => request.method === "PATCH" && request.path.includes("/rollouts/web"));
    first.kill();
    // The spec changes while nobody leads: the first pass has something to write, and cannot.
    await bed.patch(RESOURCES.rollout, "web", { spec: { replicas: 3 } });
    await bed.clock.leap(15_500);
    await bed.until("the second has tried", () =>
      second.requests.some((line) => line.startsWith("PATCH") && line.includes("/rollouts/web")),
    );
    await bed.clock.leap(FIRST_PASSES_MS - 2_000);
    t.equal(second.controller.isLeading(), false, "it still hopes for the pass");
    await bed.clock.leap(3_000);
    await bed.until("it leads all the same", () => second.controller.isLeading());
    const b = bed.proxy([second], "b");
    await bed.until("a new proxy is served", () => b.weights() !== undefined);
    t.equal(canaryWeight(b, paused), 20, "with the weights that stood");
    await bed.until("the old one is back", () => a.isConnected());
    t.equal(canaryWeight(a, paused), 20);
    second.fail();
    await bed.clock.leap(60_000);
    await bed.untilRollout("the pass has succeeded", ({ status }) => (status.replicas ?? 0) >= 3);
  },
);
