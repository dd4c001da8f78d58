// What steps that set routes become in the intent: matches, percentages, order, and whose Services it names.
import { test } from "tap";
import type { TrafficIntent } from "../../src/api/api.ts";
import { imagePatch, worldWith } from "../../src/simulate/manifest.ts";

/** The intent when the steps have been gone through up to a pause behind them. */
function published(
  steps: readonly unknown[],
  names: readonly string[] = ["a", "b"],
): TrafficIntent | undefined {
  const routing = { managedRoutes: names.map((name) => ({ name })) };
  const all = [{ setCanaryScale: { replicas: 1 } }, ...steps, { pause: {} }];
  const world = worldWith({ replicas: 2, isRouted: true, routing, steps: all });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  return world.published;
}

test("managed routes: every kind of comparison reaches the intent, headers by name as written", async (t) => {
  const match = [
    { headerName: "X-Group", headerValue: { exact: "b" } },
    { headerName: "user-agent", headerValue: { prefix: "Mozilla" } },
    { headerName: "Cookie", headerValue: { regex: ".*group=b.*", exact: "" } },
  ];
  t.strictSame(published([{ setHeaderRoute: { name: "a", match } }])?.routes, [
    {
      kind: "header",
      name: "a",
      matches: [
        { name: "X-Group", value: { kind: "exact", value: "b" } },
        { name: "user-agent", value: { kind: "prefix", value: "Mozilla" } },
        { name: "Cookie", value: { kind: "regex", value: ".*group=b.*" } },
      ],
    },
  ]);
});

test("managed routes: a mirror copies everything that matches unless it names a share", async (t) => {
  const match = [
    { method: { exact: "GET" }, path: { prefix: "/a" }, headers: { "x-b": { exact: "c" } } },
    {},
  ];
  const percents = [undefined, 0, 35].map((percentage) => {
    const route = { name: "a", match, ...(percentage !== undefined && { percentage }) };
    const [set] = published([{ setMirrorRoute: route }])?.routes ?? [];
    return set?.kind === "mirror" ? set.percent : undefined;
  });
  t.strictSame(percents, [100, 0, 35]);
  t.match(published([{ setMirrorRoute: { name: "a", match } }])?.routes, [
    {
      kind: "mirror",
      matches: [
        {
          method: { kind: "exact", value: "GET" },
          path: { kind: "prefix", value: "/a" },
          headers: [{ name: "x-b", value: { kind: "exact", value: "c" } }],
        },
        { headers: [] },
      ],
    },
  ]);
});

test("managed routes: only declared names, in the order of their declaration", async (t) => {
  const set = (name: string) => ({
    setHeaderRoute: { name, match: [{ headerName: "x", headerValue: { exact: name } }] },
  });
  const names = (steps: readonly unknown[], declared: readonly string[]): readonly string[] | undefined =>
    published(steps, declared)?.routes?.map(({ name }) => name);
  t.strictSame(names([set("a"), set("b"), set("c")], ["c", "a"]), ["c", "a"]);
  t.strictSame(names([set("a"), { setHeaderRoute: { name: "a" } }], ["a"]), undefined);
  t.strictSame(names([{ setMirrorRoute: { name: "never" } }], ["a"]), undefined);
});

test("managed routes: routes change no weight, and an intent without any has no such field", async (t) => {
  const set = { setHeaderRoute: { name: "a", match: [{ headerName: "x", headerValue: { exact: "1" } }] } };
  const { routes, ...plain } = published([set]) ?? {};
  t.equal(routes?.length, 1);
  t.strictSame(plain, published([]));
});

test("ping-pong: the intent names the Services by their part, and one root for good", async (t) => {
  const world = worldWith({ replicas: 2, isRouted: true, isPingPong: true, steps: [{ setWeight: 50 }] });
  world.settle();
  const seen = [world.published];
  for (const version of ["web:2", "web:3"]) {
    world.editSpec(imagePatch(version));
    world.settle();
    seen.push(world.published);
  }
  t.strictSame(
    seen.map((intent) => [intent?.stableService, intent?.canaryService, intent?.rootService]),
    [
      ["web-ping", "web-pong", "web-ping"],
      ["web-pong", "web-ping", "web-ping"],
      ["web-ping", "web-pong", "web-ping"],
    ],
  );
  const { weights } = world.status().canary ?? {};
  t.match(weights, { stable: { serviceName: "web-ping" }, canary: { serviceName: "web-pong" } });
});
