// Refused evictions are kept for the next passes, and forgotten when they tell nothing any more.
import { test } from "tap";
import { errorOfResponse } from "../../src/cluster/errors.ts";
import { createEvictions } from "../../src/controller/evictions.ts";
import { createManualClock } from "../support/clock.ts";

const POD = { namespace: "shop", name: "web-1" };
const signal = AbortSignal.timeout(20_000);

test("evictions: a refusal is kept with its words and its time, until the pod goes or two minutes have passed", async (t) => {
  const clock = createManualClock();
  const words = "Cannot evict pod as it would violate the pod's disruption budget.";
  let isRefused = true;
  const request = (): Promise<unknown> => {
    const body = { kind: "Status", status: "Failure", reason: "TooManyRequests", message: words };
    return isRefused
      ? Promise.reject(errorOfResponse(429, JSON.stringify(body), "evict"))
      : Promise.resolve({});
  };
  const evictions = createEvictions({ client: { request }, clock });
  const startMs = clock.nowMs();
  await evictions.evict("shop/web", POD, "u1", signal);
  await evictions.evict("shop/web", POD, "u2", signal);
  t.strictSame(evictions.refused("shop/web"), {
    u1: { atMs: startMs, words },
    u2: { atMs: startMs, words },
  });
  t.strictSame(evictions.refused("shop/other"), {});
  isRefused = false;
  await evictions.evict("shop/web", POD, "u1", signal);
  t.strictSame(Object.keys(evictions.refused("shop/web")), ["u2"]);
  await clock.advance(121_000);
  t.strictSame(evictions.refused("shop/web"), {});

  isRefused = true;
  await evictions.evict("shop/web", POD, "u3", signal);
  evictions.forget("shop/web");
  t.strictSame(evictions.refused("shop/web"), {});
});
