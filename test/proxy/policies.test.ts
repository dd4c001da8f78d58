// From a TrafficPolicy on a Gateway to what the proxy does with a request.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import type { TrafficPolicy } from "../../src/api/api.ts";
import type { ProxyServer } from "../../src/proxy/server.ts";
import { CASES } from "../e2e/policy.cases.ts";
import { LIMIT_CASES } from "../e2e/policy.limitcases.ts";
import { REWRITE_CASES } from "../e2e/policy.rewritecases.ts";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import { converse, eventually, type Origin, recordingOrigin, startBootstrap, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };

interface Behind {
  readonly origin: Origin;
  readonly proxy: ProxyServer;
  readonly port: number;
  /** Sends a request with those field lines and gives the answer. */
  readonly ask: (...lines: string[]) => Promise<string>;
}

type Asked = Omit<TrafficPolicy["spec"], "targetRefs">;

/** A proxy for the Gateway `edge` under that policy, with one route to an origin. */
async function behind(
  t: Test,
  sections: Asked,
  answer?: Parameters<typeof recordingOrigin>[1],
): Promise<Behind> {
  const origin = await recordingOrigin(t, answer);
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
  return { origin, proxy, port, ask };
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

test("policy: X-Forwarded-Host is a trusted hop's to say, not a stranger's", async (t) => {
  const hosts = async (clientAddress?: Asked["clientAddress"]): Promise<unknown> => {
    const { origin, ask } = await behind(t, clientAddress === undefined ? {} : { clientAddress });
    await ask("X-Forwarded-Host: evil.test", "x-forwarded-host: worse.test");
    return origin.seen[0]?.headers["x-forwarded-host"];
  };
  t.equal(await hosts(), undefined);
  t.equal(await hosts({ trustedHops: 1 }), "evil.test, worse.test");
  t.equal(await hosts({ forwardedFor: "keep" }), "evil.test, worse.test");
  t.equal(await hosts({ trustedHops: 1, forwardedFor: "overwrite" }), undefined);
});

test("policy: clientAddress.forwardedFor overwrites what clients claim", async (t) => {
  const { origin, ask } = await behind(t, { clientAddress: { forwardedFor: "overwrite" } });
  await ask("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "Forwarded: for=1.2.3.4");
  const headers = origin.seen[0]?.headers;
  t.equal(headers?.["x-forwarded-for"], "127.0.0.1");
  t.strictSame([headers?.["x-forwarded-host"], headers?.forwarded], [undefined, undefined]);
});

test("policy: claims of strangers are dropped in the spellings that CGI takes for them, too", async (t) => {
  const names = async (clientAddress?: Asked["clientAddress"]): Promise<string[]> => {
    const { origin, ask } = await behind(t, clientAddress === undefined ? {} : { clientAddress });
    await ask(
      "X_Forwarded_Host: a",
      "x_forwarded-host: b",
      "X-Forwarded_HOST: c",
      "X_Forwarded_For: 1.2.3.4",
    );
    return Object.keys(origin.seen[0]?.headers ?? {}).filter((name) => /^x.forwarded.(host|for)$/.test(name));
  };
  t.strictSame(await names(), ["x_forwarded_for", "x-forwarded-for"]);
  t.strictSame(await names({ forwardedFor: "overwrite" }), ["x-forwarded-for"]);
});

test("policy: clientAddress.forwardedFor leaves X-Forwarded-For as it came", async (t) => {
  const { origin, ask } = await behind(t, { clientAddress: { forwardedFor: "keep" } });
  await ask("X-Forwarded-For: 1.2.3.4");
  await ask();
  t.strictSame(
    origin.seen.map(({ headers }) => headers["x-forwarded-for"]),
    ["1.2.3.4", undefined],
  );
});

test("policy: clientAddress.underscores refuses or drops ambiguous names", async (t) => {
  const reject = await behind(t, { clientAddress: { underscores: "reject" } });
  t.match(await reject.ask("x_user: 1"), /^HTTP\/1\.1 400 /);
  t.equal(reject.origin.seen.length, 0);
  const drop = await behind(t, { clientAddress: { underscores: "drop" } });
  t.match(await drop.ask("x_user: 1"), /^HTTP\/1\.1 200 /);
  t.equal(drop.origin.seen[0]?.headers.x_user, undefined);
});

test("policy: clientConnection.halfClose answers a client that ended its side, which is given up else", async (t) => {
  for (const [halfClose, want] of [
    [true, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*slow$/],
    [false, /^$/],
  ] as const) {
    const answers: (() => void)[] = [];
    const { port, ask } = await behind(t, { clientConnection: { halfClose } }, ({ url }, response) => {
      if (url === "/slow") answers.push(() => response.end("slow"));
      else response.end("fast");
    });
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const ended = converse(socket, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", {});
    await eventually(() => answers.length === 1, "the request arrived");
    socket.end();
    // By its answer the proxy has seen the end of the other client.
    t.match(await ask(), /fast$/);
    answers[0]?.();
    t.match((await ended).text, want, `${halfClose}`);
  }
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

test("policy: accessLog writes lines of text, in the words that are asked for", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-policy-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "access.log");
  const { ask, proxy } = await behind(t, { accessLog: { path, text: "%RESPONSE_CODE% by %ROUTE_NAME%" } });
  await ask();
  await proxy.stop();
  t.equal(await readFile(path, "utf8"), "200 by shop/web/0\n");
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

/** Rows of the reference and the test that shows each from manifest to behaviour; the other rows have a case in test/e2e/policy.test.ts. */
const SHOWN_BY: Readonly<Record<string, string>> = {
  "host of a request": "from a match: hosts of routes and listeners decide, a name before a wildcard",
  "method of a request": "from a match: a rule's method decides",
  "path of a request": "from a match: patterns and query parameters of an HTTPRoute decide",
  "header of a request": "from a match: patterns and query parameters of an HTTPRoute decide",
  "query parameter": "from a match: patterns and query parameters of an HTTPRoute decide",
  cookie: "from a match: conditions of a TrafficPolicy hold for the rule that it names",
  "conditions in `match`": "from a match: each condition that a TrafficPolicy can state decides",
  "one spelling of paths":
    "from a match: a Gateway's requests are in one spelling, and a policy can leave them as they come",
  "parameters of a path (`/cart;v=2`)":
    "from a match: a Gateway's requests are in one spelling, and a policy can leave them as they come",
  "`%2F` and `%5C` in paths":
    "from a match: a Gateway's requests are in one spelling, and a policy can leave them as they come",
  "port and trailing dot of Host":
    "from a match: a Gateway's requests are in one spelling, and a policy can leave them as they come",
  "shares of several backends": "from a match: weights of backends are their shares, and 0 gets nothing",
  "time for one try": "from a service: backendRequest bounds a try, and the next pod gets the next one",
  "retries ([more](#retries))": "from a service: a policy's retry on its route, and none without",
  "late tries go on beside the next one ([more](#retries))":
    "from a service: with a policy's hedgeOnPerTryTimeout the late pod may still answer",
  "time to connect to an endpoint":
    "from pods: connection.timeout ends a connection that is not made, and another pod is asked",
  "connections kept": "from a service: connection.maxRequests and idle end connections",
  "which endpoint": "from a service: LeastRequest keeps off a busy pod",
  "slow start of new endpoints":
    "from pods: loadBalancer.slowStart lets a pod that comes later in bit by bit",
  "few usable endpoints: all get requests":
    "from pods: loadBalancer.panicPercent says from when on all pods get requests, healthy or not",
  "active health checks": "from a service: healthChecks keep requests off a pod that fails them",
  "endpoints that fail are left out for a while":
    "from a service: outlierDetection takes out a pod that only fails",
  bounds: "from a service: circuitBreaker bounds the requests in progress",
  "proxies in front that are believed":
    "policy: clientAddress.trustedHops lets the hop in front say who the client is",
  "X-Forwarded-For": "policy: clientAddress.forwardedFor overwrites what clients claim",
  "field names with an underscore": "policy: clientAddress.underscores refuses or drops ambiguous names",
  "clients that end their side":
    "policy: clientConnection.halfClose answers a client that ended its side, which is given up else",
  "access log ([commands and flags](accesslog.md))":
    "policy: accessLog writes a line per request to its file",
  "request id (`x-request-id`)": "policy: tracing makes or keeps ids, states them, and begins traces",
  "W3C trace context": "policy: tracing makes or keeps ids, states them, and begins traces",
};

test("policy: every row of the reference is shown from manifest to behaviour", async (t) => {
  const page = await readFile("docs/reference/policy.md", "utf8");
  const rows = [...page.matchAll(/^\| (?!Feature|---)(.+?) \| /gm)].map(([, feature = ""]) => feature);
  t.ok(rows.length > 35);
  const cases = [...CASES, ...LIMIT_CASES, ...REWRITE_CASES].map(({ feature }) => feature);
  const folder = "test/proxy";
  const files = (await readdir(folder)).filter((name) => /^(?:from.*|policies)\.test\.ts$/.test(name));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  t.strictSame(rows.filter((row) => !cases.includes(row)).sort(), Object.keys(SHOWN_BY).sort());
  for (const title of Object.values(SHOWN_BY))
    t.ok(
      texts.some((text) => text.includes(`test("${title}"`)),
      title,
    );
});
