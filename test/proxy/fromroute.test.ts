// From an HTTPRoute, a Rollout's weights and TrafficPolicies to what the proxy does with requests.
import { type Test, test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, intent, slice } from "../translate/support.ts";
import { type Origin, recordingOrigin, startBootstrap, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };
type Rules = NonNullable<HttpRoute["spec"]>["rules"] & object;
type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;

interface Behind {
  readonly stable: Origin;
  readonly canary: Origin;
  /** The whole answer to a request with those lines behind its Host. */
  ask(target: string, ...lines: readonly string[]): Promise<string>;
}

/** A proxy for the Gateway `edge` with the route `web`: the Rollout's stable version is pod `a`, the canary pod `bb`. */
async function behind(t: Test, rules: Rules, weight: number, sections: Sections = {}): Promise<Behind> {
  const stable = await recordingOrigin(t, (_seen, response) => response.end("<stable>"));
  const canary = await recordingOrigin(t, (_seen, response) => response.end("<canary>"));
  const local = (port: number, pod: string) => {
    const made = slice(port, [pod]);
    const endpoints = (made.endpoints ?? []).map((endpoint) => ({ ...endpoint, addresses: ["127.0.0.1"] }));
    return { ...made, endpoints };
  };
  const bootstrap = bootstrapFor(
    input({
      httpRoutes: [httpRoute({ rules })],
      intents: [intent(100 - weight, weight)],
      slices: () => [local(stable.port, "a"), local(canary.port, "bb")],
      podHash: (_namespace, pod) => (pod === "a" ? "aaa" : "bbb"),
      policies: [
        {
          apiVersion: "weir.dev/v1alpha1",
          kind: "TrafficPolicy",
          metadata: { name: "asked", namespace: "shop" },
          spec: { targetRefs: [{ kind: "HTTPRoute", name: "web" }], ...sections },
        },
      ],
    }),
  );
  const { port } = await startBootstrap(t, bootstrap, "shop/edge:8000");
  const ask = async (target: string, ...lines: readonly string[]): Promise<string> =>
    (await talk(port, [`GET ${target} HTTP/1.1`, "Host: shop.test", ...lines, "", ""].join("\r\n"), ANSWERED))
      .text;
  return { stable, canary, ask };
}

const BACKENDS = [{ name: "web-stable", port: 80 }];
const versionIn = (answer: string): string | undefined => /<(\w+)>/.exec(answer)?.[1];

test("from a route: sticky clients come with a rising weight and go with a falling one", async (t) => {
  const users = Array.from({ length: 60 }, (_, i) => `x-user: user-${i}`);
  const served = async (weight: number): Promise<(string | undefined)[]> => {
    const { ask } = await behind(t, [{ backendRefs: BACKENDS }], weight, { sticky: { header: "X-User" } });
    const versions: (string | undefined)[] = [];
    for (const user of users) versions.push(versionIn(await ask("/", user)));
    return versions;
  };
  const canaries = (versions: readonly (string | undefined)[]): number[] =>
    versions.flatMap((version, i) => (version === "canary" ? [i] : []));
  const steps = [canaries(await served(0)), canaries(await served(10)), canaries(await served(50))];
  t.strictSame(steps[0], []);
  t.ok((steps[1]?.length ?? 0) > 0 && (steps[2]?.length ?? 0) > (steps[1]?.length ?? 0), `${steps}`);
  t.ok(
    steps[1]?.every((user) => steps[2]?.includes(user)),
    "nobody of 10 % is missing among 50 %",
  );
  t.strictSame(canaries(await served(10)), steps[1], "back at 10 % the same ones are there");
});

test("from a route: sessionPersistence issues a cookie that keeps its client", async (t) => {
  const rule = { backendRefs: BACKENDS, sessionPersistence: { sessionName: "seat" } };
  const { ask } = await behind(t, [rule], 50);
  for (let client = 0; client < 8; client++) {
    const first = await ask("/");
    const [, cookie = ""] = /^set-cookie: (seat=\w+); Path=\/; HttpOnly\r$/m.exec(first) ?? [];
    t.match(cookie, /^seat=/);
    t.equal(versionIn(await ask("/", `cookie: ${cookie}`)), versionIn(first));
  }
});

test("from a route: a header rule goes before a sticky client's version", async (t) => {
  const matches = [{ headers: [{ name: "x-force", value: "1" }] }];
  const forced = { matches, backendRefs: [{ name: "web-other", port: 80 }] };
  const { ask } = await behind(t, [forced, { backendRefs: BACKENDS }], 0, {
    sticky: { clientAddress: true },
  });
  t.equal(versionIn(await ask("/")), "stable");
  const seen = new Set<string | undefined>();
  for (let i = 0; i < 4; i++) seen.add(versionIn(await ask("/", "x-force: 1")));
  t.ok(seen.has("canary"), "the rule's own backend has both pods");
});

test("from a route: header modifiers of a rule, and of each version", async (t) => {
  const mark = (value: string) => [
    { type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "X-Version", value }] } },
    { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "X-Served", value }] } },
  ];
  const rule = {
    filters: [
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: { add: [{ name: "X-Rule", value: "50%" }], remove: ["X-Gone"] },
      },
    ],
    backendRefs: [
      { name: "web-stable", port: 80, filters: mark("old") },
      { name: "web-canary", port: 80, filters: mark("new") },
    ],
  };
  const { ask, stable, canary } = await behind(t, [rule], 50);
  for (let i = 0; i < 20; i++) {
    const answer = await ask("/", "x-gone: 1", "X-Version: forged");
    t.match(answer, versionIn(answer) === "canary" ? /^x-served: new\r$/m : /^x-served: old\r$/m);
  }
  for (const [origin, version] of [
    [stable, "old"],
    [canary, "new"],
  ] as const) {
    t.ok(origin.seen.length > 0);
    for (const { headers } of origin.seen)
      t.match(headers, { "x-version": version, "x-rule": "50%", "x-gone": undefined });
  }
});

test("from a route: URLRewrite changes path and host on their way", async (t) => {
  const rewritten = (
    value: string,
    path: { type: string; replacePrefixMatch?: string; replaceFullPath?: string },
  ) => ({
    matches: [{ path: { type: "PathPrefix", value } }],
    filters: [{ type: "URLRewrite", urlRewrite: { hostname: "inner.test", path } }],
    backendRefs: BACKENDS,
  });
  const { ask, stable } = await behind(
    t,
    [
      rewritten("/api", { type: "ReplacePrefixMatch", replacePrefixMatch: "/v2" }),
      rewritten("/gone", { type: "ReplacePrefixMatch", replacePrefixMatch: "/" }),
      rewritten("/one", { type: "ReplaceFullPath", replaceFullPath: "/two" }),
      rewritten("/", { type: "ReplacePrefixMatch", replacePrefixMatch: "/root" }),
    ],
    0,
  );
  for (const [asked, want] of [
    ["/api/x?q", "/v2/x?q"],
    ["/api", "/v2"],
    ["/gone", "/"],
    ["/gone/", "/"],
    ["/gone/x", "/x"],
    ["/one/more?q", "/two?q"],
    ["/onemore", "/root/onemore"],
    ["/", "/root/"],
  ] as const) {
    await ask(asked);
    t.match(
      stable.seen.at(-1),
      { url: want, headers: { host: "inner.test", "x-forwarded-host": "shop.test" } },
      asked,
    );
  }
});

test("from a route: RequestRedirect answers by itself, and directResponse closes a route", async (t) => {
  const to = (requestRedirect: object) => [{ type: "RequestRedirect", requestRedirect }];
  const { ask } = await behind(
    t,
    [
      { matches: [{ path: { value: "/tls" } }], filters: to({ scheme: "https", statusCode: 301 }) },
      {
        matches: [{ path: { value: "/old" } }],
        filters: to({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } }),
      },
    ],
    0,
  );
  t.match(await ask("/tls/x?q"), /^HTTP\/1\.1 301 [\s\S]*\r\nlocation: https:\/\/shop\.test\/tls\/x\?q\r\n/);
  t.match(await ask("/old/x"), /^HTTP\/1\.1 302 [\s\S]*\r\nlocation: http:\/\/shop\.test:8000\/new\/x\r\n/);
  const closed = await behind(t, [{ backendRefs: BACKENDS }], 0, {
    directResponse: { status: 503, body: "back at noon\n", contentType: "text/markdown" },
  });
  t.match(
    await closed.ask("/"),
    /^HTTP\/1\.1 503 [\s\S]*\r\ncontent-type: text\/markdown\r\n\r\nback at noon\n$/,
  );
  t.equal(closed.stable.seen.length, 0);
});
