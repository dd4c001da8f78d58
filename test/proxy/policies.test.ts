// From a TrafficPolicy on a Gateway to what the proxy does with a request.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import type { TrafficPolicy } from "../../src/api/api.ts";
import type { ProxyServer } from "../../src/proxy/server.ts";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import { type Origin, recordingOrigin, startBootstrap, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };

interface Behind {
  readonly origin: Origin;
  readonly proxy: ProxyServer;
  /** Sends a request with those field lines and gives the answer. */
  readonly ask: (...lines: string[]) => Promise<string>;
}

/** A proxy for the Gateway `edge` under that policy, with one route to an origin. */
async function behind(t: Test, sections: Omit<TrafficPolicy["spec"], "targetRefs">): Promise<Behind> {
  const origin = await recordingOrigin(t);
  const pods = slice(origin.port, ["a"]);
  const endpoints = (pods.endpoints ?? []).map((endpoint) => ({ ...endpoint, addresses: ["127.0.0.1"] }));
  const bootstrap = bootstrapFor(
    input({
      httpRoutes: [httpRoute({ rules: [{ backendRefs: [{ name: "web", port: 80 }] }] })],
      slices: () => [{ ...pods, endpoints }],
      policies: [
        {
          apiVersion: "weir.dev/v1alpha1",
          kind: "TrafficPolicy",
          metadata: { name: "asked", namespace: "shop" },
          spec: { targetRefs: [{ kind: "Gateway", name: "edge" }], ...sections },
        },
      ],
    }),
  );
  const { port, proxy } = await startBootstrap(t, bootstrap, "shop/edge:8000");
  const ask = async (...lines: string[]): Promise<string> =>
    (await talk(port, ["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n"), ANSWERED)).text;
  return { origin, proxy, ask };
}

test("policy: clientAddress.trustedHops lets the hop in front say who the client is", async (t) => {
  const { origin, ask } = await behind(t, { clientAddress: { trustedHops: 1 } });
  await ask("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Request-Id: edge-1");
  t.match(origin.seen[0]?.headers, {
    "x-forwarded-for": "1.2.3.4, 127.0.0.1",
    "x-forwarded-proto": "https",
    "x-request-id": "edge-1",
  });
});

test("policy: clientAddress.forwardedFor overwrites what clients claim", async (t) => {
  const { origin, ask } = await behind(t, { clientAddress: { forwardedFor: "overwrite" } });
  await ask("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "Forwarded: for=1.2.3.4");
  const headers = origin.seen[0]?.headers;
  t.equal(headers?.["x-forwarded-for"], "127.0.0.1");
  t.strictSame([headers?.["x-forwarded-host"], headers?.forwarded], [undefined, undefined]);
});

test("policy: clientAddress.underscores refuses or drops ambiguous names", async (t) => {
  const reject = await behind(t, { clientAddress: { underscores: "reject" } });
  t.match(await reject.ask("x_user: 1"), /^HTTP\/1\.1 400 /);
  t.equal(reject.origin.seen.length, 0);
  const drop = await behind(t, { clientAddress: { underscores: "drop" } });
  t.match(await drop.ask("x_user: 1"), /^HTTP\/1\.1 200 /);
  t.equal(drop.origin.seen[0]?.headers.x_user, undefined);
});

test("policy: accessLog writes a line per request to its file", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-policy-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "access.json");
  const json = { path: "%REQ(:PATH)%", status: "%RESPONSE_CODE%", version: "%UPSTREAM_CLUSTER%" };
  const { ask, proxy } = await behind(t, { accessLog: { path, json } });
  await ask();
  await proxy.stop();
  t.strictSame(JSON.parse(await readFile(path, "utf8")), { path: "/", status: 200, version: "shop/web:80" });
});

test("policy: tracing makes or keeps ids, states them, and begins traces", async (t) => {
  const { ask, origin } = await behind(t, {
    tracing: { requestId: "keep", requestIdInAnswer: true, traceContext: "make", samplingPercent: 0 },
  });
  t.match(await ask("X-Request-Id: mine"), /\r\nx-request-id: mine\r\n/);
  t.match(origin.seen[0]?.headers, {
    "x-request-id": "mine",
    traceparent: /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/,
  });
  const off = await behind(t, { tracing: { requestId: "off" } });
  await off.ask("X-Request-Id: mine");
  t.equal(off.origin.seen[0]?.headers["x-request-id"], undefined);
});
