// Whatever is sent, the answer is the API's: never a failure of the server itself, and never a broken store.
import fc from "fast-check";
import { test } from "tap";
import { applyMergePatch } from "../../src/lib/patch.ts";
import {
  type Any,
  CONFIG_MAPS,
  configMap,
  PODS,
  pod,
  ROLLOUTS,
  rollout,
  startServer,
} from "./server-support.ts";

const NUM_RUNS = 600;
const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.string({ maxLength: 8 }),
  fc.constant("main"),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        "metadata",
        "spec",
        "status",
        "labels",
        "name",
        "containers",
        "ports",
        "template",
        "$patch",
        "selector",
        "finalizers",
        "ownerReferences",
        "strategy",
        "canary",
        "steps",
        "x",
      ),
      tie("value"),
      { maxKeys: 4 },
    ),
  ),
}));
const path = fc.constantFrom(
  ...[CONFIG_MAPS, `${CONFIG_MAPS}/a`, PODS, `${PODS}/p`, `${PODS}/p/status`, `${PODS}/p/binding`],
  ...[
    ROLLOUTS,
    `${ROLLOUTS}/web`,
    `${ROLLOUTS}/web/status`,
    `${ROLLOUTS}/web/scale`,
    "/api/v1/namespaces/n",
    "/api/v1/namespaces",
  ],
  ...[
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    "/api/v1/namespaces/default/services",
    "/%ff",
    "/apis//v1",
  ],
);
const oddQuery = fc.constantFrom(
  ...[
    "",
    "?limit=1",
    "?continue=x",
    "?labelSelector=a%20in(",
    "?fieldSelector=spec.x%3D1",
    "?dryRun=None",
    "?fieldValidation=Odd",
  ],
  ...[
    "?resourceVersion=abc",
    "?resourceVersion=99999",
    "?timeoutSeconds=x",
    "?watch=true&resourceVersion=99999",
    "?fieldValidation=Strict",
  ],
);
const query = fc.oneof({ weight: 6, arbitrary: fc.constant("") }, { weight: 1, arbitrary: oddQuery });
const contentType = fc.constantFrom(
  "application/json",
  "application/merge-patch+json",
  "application/json-patch+json",
  "application/strategic-merge-patch+json",
  "text/plain",
);
const request = fc.record({
  method: fc.constantFrom<"GET" | "POST" | "PUT" | "PATCH" | "DELETE">(
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
  ),
  path: fc.tuple(path, query).map((parts) => parts.join("")),
  contentType,
  body: fc.oneof(
    value,
    fc.string(),
    fc.array(
      fc.record({
        op: fc.constantFrom("add", "remove", "move"),
        path: fc.constantFrom("/spec", "/metadata/labels/-", "/kind", ""),
        value,
      }),
      { maxLength: 2 },
    ),
  ),
});

function collectionOf(object: Any): string {
  return { ConfigMap: CONFIG_MAPS, Pod: PODS, Rollout: ROLLOUTS }[String(object.kind)] ?? "";
}

test("server fuzz: no request makes the server fail, and what it lists stays whole", async (t) => {
  const { api } = await startServer(t);
  const seed = async (): Promise<void> => {
    await api.post(CONFIG_MAPS, configMap("a"));
    await api.post(PODS, pod("p"));
    await api.post(ROLLOUTS, rollout("web"));
  };
  const property = fc.asyncProperty(request, fc.boolean(), async (sent, isTyped) => {
    await seed();
    const kinds: Record<string, Any> = {
      configmaps: configMap("a"),
      pods: pod("p"),
      rollouts: rollout("web"),
    };
    const kind = Object.entries(kinds).find(([plural]) => sent.path.includes(plural))?.[1];
    // Most requests go where their method is served, with an object or patch close to a right one.
    const isCollection = sent.path === (kind === undefined ? "" : collectionOf(kind));
    const method = !isTyped
      ? sent.method
      : isCollection
        ? "POST"
        : sent.method === "POST"
          ? "PATCH"
          : sent.method;
    const isWhole = method === "POST" || method === "PUT";
    const bent: Any = applyMergePatch(kind, sent.body);
    const whole = { ...Object(bent), apiVersion: kind?.apiVersion, kind: kind?.kind };
    const body = isTyped && isWhole ? whole : sent.body;
    const type = isTyped ? (isWhole ? "application/json" : "application/merge-patch+json") : sent.contentType;
    const answer = await api.call(method, sent.path, body, type);
    if (answer.status >= 500 && answer.status !== 504) throw new Error(JSON.stringify(answer.body));
    if (answer.status >= 400 && answer.body.kind !== "Status") throw new Error("a refusal without a Status");
    for (const list of [CONFIG_MAPS, PODS, ROLLOUTS])
      for (const item of (await api.get(list)).body.items)
        if (typeof item.metadata.uid !== "string" || typeof item.metadata.name !== "string")
          throw new Error(`a broken object was stored: ${JSON.stringify(item)}`);
  });
  await fc.assert(property, { numRuns: NUM_RUNS, seed: 7 });
  t.pass(`${NUM_RUNS} random requests`);
});
