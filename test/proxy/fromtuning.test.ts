// From the finer settings of TrafficPolicies to what pods and clients get.
import { connect } from "node:net";
import { type Test, test } from "tap";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, intent, slice } from "../translate/support.ts";
import { type Asked, before, origins, portsOf, sharesOf } from "./podsupport.ts";
import { eventually, recordingOrigin, startBootstrap, talk } from "./support.ts";

test("from tuning: slowStart.aggression bends the way in", async (t) => {
  const all = await origins(t, 2);
  const { clock, pods, ask } = await before(t, {
    service: { loadBalancer: { slowStart: { window: "100s", minimumPercent: 10, aggression: 0.5 } } },
  });
  const [first = 0, second = 0] = portsOf(all);
  await pods(first);
  await clock.advance(200_000);
  await pods(first, second);
  await clock.advance(50_000);
  t.strictSame(await sharesOf(all, ask, 25), [20, 5], "a quarter at half time, where 1 would give half");
});

test("from tuning: ringSize makes a ring's shares even", async (t) => {
  const all = await origins(t, 2);
  const shares = async (ringSize: number): Promise<number[]> => {
    const { pods, ask } = await before(t, {
      service: { loadBalancer: { policy: "RingHash", ringSize } },
      route: { sticky: { header: "x-user" } },
      portOf: (port) => portsOf(all)[port - 1],
    });
    await pods(1, 2);
    let user = 0;
    return sharesOf(all, () => ask(`x-user: ${user++}`), 80);
  };
  // The places are the hash's own: whose pods, at ports 1 and 2, and whose users are always the same.
  t.strictSame(
    [await shares(2), await shares(8_192)],
    [
      [17, 63],
      [40, 40],
    ],
  );
});

test("from tuning: successRateDeviations says how far from the others is too far", async (t) => {
  const isOutAt = async (successRateDeviations: number): Promise<boolean> => {
    let requests = 0;
    const all = await origins(t, 5, (pod) => (pod === 0 && requests++ % 10 < 3 ? 500 : 200));
    const outlierDetection = { consecutive5xx: 0, successRateDeviations, interval: "10s" };
    const { clock, pods, ask } = await before(t, { service: { outlierDetection } });
    await pods(...portsOf(all));
    t.strictSame(await sharesOf(all, ask, 500), [100, 100, 100, 100, 100]);
    await clock.advance(11_000);
    return (await sharesOf(all, ask, 10))[0] === 0;
  };
  t.strictSame([await isOutAt(1.5), await isOutAt(2.5)], [true, false], "it is two away");
});

test("from tuning: maxEjectionTime bounds what doubles", async (t) => {
  const all = await origins(t, 3, (pod) => (pod === 2 ? 500 : 200));
  const lasting = async (maxEjectionTime: string): Promise<number[]> => {
    const outlierDetection = { consecutive5xx: 1, baseEjectionTime: "30s", maxEjectionTime, interval: "10s" };
    const { clock, pods, ask } = await before(t, { service: { outlierDetection } });
    await pods(...portsOf(all));
    await sharesOf(all, ask, 3);
    const times: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      let seconds = 0;
      for (; (await sharesOf(all, ask, 3))[2] === 0; seconds += 10) await clock.advance(10_000);
      times.push(seconds);
    }
    return times;
  };
  t.strictSame(
    [await lasting("40s"), await lasting("300s")],
    [
      [30, 40, 40],
      [30, 60, 90],
    ],
  );
});

test("from tuning: maxEjectionPercent bounds how many are out at once", async (t) => {
  const all = await origins(t, 4, (pod) => (pod < 2 ? 500 : 200));
  const failing = async (maxEjectionPercent: number): Promise<number> => {
    const outlierDetection = { consecutive5xx: 1, maxEjectionPercent };
    const { pods, ask } = await before(t, {
      service: { outlierDetection, loadBalancer: { panicPercent: 0 } },
    });
    await pods(...portsOf(all));
    await sharesOf(all, ask, 8);
    return (await sharesOf(all, ask, 12)).slice(0, 2).filter((requests) => requests > 0).length;
  };
  t.strictSame([await failing(25), await failing(50)], [1, 0]);
});

const TICK_MS = 100;

test("from tuning: backoff.max bounds the waits between tries", async (t) => {
  const all = await origins(t, 1, () => 503);
  const waited = async (max: string): Promise<number> => {
    const retry = { on: ["5xx" as const], attempts: 5, backoff: { base: "1s", max } };
    const { clock, pods, ask } = await before(t, {
      service: { circuitBreaker: { retryBudget: { minimum: 10 } } },
      route: { retry },
    });
    await pods(...portsOf(all));
    for (const { seen } of all) seen.length = 0;
    const beganMs = clock.nowMs();
    let isOver = false;
    void ask().then(() => {
      isOver = true;
    });
    await eventually(async () => {
      if (!isOver) await clock.advance(TICK_MS);
      return isOver;
    }, "answered");
    t.equal(all[0]?.seen.length, 6);
    return clock.nowMs() - beganMs;
  };
  const [short, long] = [await waited("1s"), await waited("100s")];
  t.ok(short < long && long > 8_000, `${short} and ${long} ms`);
});

/** A proxy for two versions, half and half. */
async function versions(t: Test, sticky: NonNullable<Asked["route"]>["sticky"]): Promise<number> {
  const ports: number[] = [];
  for (const name of ["stable", "canary"])
    ports.push((await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port);
  const slices = ["a", "bb"].map((pod, i) => {
    const made = slice(ports[i] ?? 0, [pod]);
    return {
      ...made,
      endpoints: (made.endpoints ?? []).map((one) => ({ ...one, addresses: ["127.0.0.1"] })),
    };
  });
  const bootstrap = bootstrapFor(
    input({
      httpRoutes: [httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] })],
      intents: [intent(50, 50)],
      slices: () => slices,
      podHash: (_namespace, pod) => (pod === "a" ? "aaa" : "bbb"),
      policies: [
        {
          apiVersion: "weir.dev/v1alpha1",
          kind: "TrafficPolicy",
          metadata: { name: "asked", namespace: "shop" },
          spec: { targetRefs: [{ kind: "HTTPRoute", name: "web" }], ...(sticky && { sticky }) },
        },
      ],
    }),
  );
  return (await startBootstrap(t, bootstrap, "shop/edge:8000")).port;
}

test("from tuning: sticky.cookie.path and attributes are the cookie's own", async (t) => {
  const attributes = [{ name: "SameSite", value: "Lax" }, { name: "Secure" }];
  const port = await versions(t, { cookie: { name: "seat", path: "/shop", ttl: "1h", attributes } });
  const { text } = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  t.match(text, /^set-cookie: seat=\w+; Max-Age=3600; Path=\/shop; SameSite=Lax; Secure; HttpOnly\r$/m);
});

test("from tuning: sticky.clientAddress keeps an address with its version", async (t) => {
  const port = await versions(t, { clientAddress: true });
  const versionOf = (localAddress: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", localAddress });
      let text = "";
      socket.setEncoding("latin1");
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(/<(\w+)>/.exec(text)?.[1] ?? text));
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    });
  const found = new Set<string>();
  for (let client = 1; client <= 20; client++) {
    const versionsOfOne = new Set<string>();
    for (let turn = 0; turn < 4; turn++) versionsOfOne.add(await versionOf(`127.0.1.${client}`));
    t.equal(versionsOfOne.size, 1);
    for (const version of versionsOfOne) found.add(version);
  }
  t.strictSame([...found].sort(), ["canary", "stable"]);
});
