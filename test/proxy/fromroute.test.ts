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
