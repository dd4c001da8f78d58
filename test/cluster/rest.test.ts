// The client over a small HTTPS server of the test's own, which answers what real servers answer rarely: errors, pages, broken streams.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createClusterClient,
  statusOf,
} from "../../src/cluster/client.ts";
import { createSocketTransport } from "../../src/cluster/sockets.ts";
import { isWeirError, type WeirError } from "../../src/lib/errors.ts";
import { createManualClock, settle } from "../support/clock.ts";

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Served {
  readonly client: ClusterClient;
  readonly asked: Asked[];
  readonly url: string;
}

async function serve(
  t: Test,
  answer: (response: ServerResponse, asked: Asked, count: number) => void,
  options: Parameters<typeof createClusterClient>[1] = {},
): Promise<Served> {
  const asked: Asked[] = [];
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString() };
      asked.push(one);
      answer(response, one, asked.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a listening TCP server has an address with a port
  const transport = await createSocketTransport({ url }, async () => ({ authorization: "Bearer abc" }));
  t.teardown(async () => {
    await transport.close();
    server.closeAllConnections();
    server.close();
  });
  return { client: createClusterClient(transport, options), asked, url };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function status(code: number, reason: string, message = "words"): Record<string, unknown> {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason, message, code };
}

async function failure(promise: Promise<unknown>): Promise<WeirError> {
  try {
    await promise;
  } catch (error) {
    if (isWeirError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const pod = (name: string): Record<string, unknown> => ({ metadata: { name, namespace: "a" } });
const ref = { namespace: "a", name: "x" };

test("client: names the path, the field manager and who asks", async (t) => {
  const { client, asked } = await serve(t, (response) => json(response, 200, pod("x")));
  await client.create(RESOURCES.pod, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", namespace: "a" },
  });
  await client.patch(RESOURCES.rollout, ref, { type: "merge", body: { spec: 1 } }, { subresource: "status" });
  await client.get(RESOURCES.namespace, { name: "a" });
  await client
    .list(RESOURCES.pod, { namespace: "a", labelSelector: "app=web,tier!=db" })
    .catch(() => undefined);
  t.strictSame(
    asked.map(({ method, url }) => `${method} ${url}`),
    [
      "POST /api/v1/namespaces/a/pods?fieldManager=weir",
      "PATCH /apis/argoproj.io/v1alpha1/namespaces/a/rollouts/x/status?fieldManager=weir",
      "GET /api/v1/namespaces/a",
      "GET /api/v1/namespaces/a/pods?labelSelector=app%3Dweb%2Ctier!%3Ddb&limit=500",
    ],
  );
  t.equal(asked[0]?.headers.authorization, "Bearer abc");
  t.equal(asked[1]?.headers["content-type"], "application/merge-patch+json");
});

test("client: answers of the server become codes that callers can tell apart", async (t) => {
  const rows: readonly (readonly [number, string, string])[] = [
    [400, "BadRequest", CLUSTER_ERRORS.invalid],
    [401, "Unauthorized", CLUSTER_ERRORS.forbidden],
    [403, "Forbidden", CLUSTER_ERRORS.forbidden],
    [404, "NotFound", CLUSTER_ERRORS.notFound],
    [409, "AlreadyExists", CLUSTER_ERRORS.alreadyExists],
    [409, "Conflict", CLUSTER_ERRORS.conflict],
    [410, "Expired", CLUSTER_ERRORS.expired],
    [415, "UnsupportedMediaType", CLUSTER_ERRORS.invalid],
    [422, "Invalid", CLUSTER_ERRORS.invalid],
    [429, "TooManyRequests", CLUSTER_ERRORS.unavailable],
    [500, "InternalError", CLUSTER_ERRORS.unavailable],
    [504, "Timeout", CLUSTER_ERRORS.unavailable],
  ];
  const { client } = await serve(t, (response, _asked, count) => {
    const [code = 0, reason = ""] = rows[count - 1] ?? [];
    json(response, code, status(code, reason));
  });
  for (const [code, reason, expected] of rows) {
    const error = await failure(client.patch(RESOURCES.pod, ref, { type: "merge", body: {} }));
    t.equal(error.code, expected, `${code} ${reason}`);
    t.equal(error.context.httpStatus, code);
    t.equal(statusOf(error)?.reason, reason);
    t.equal(error.retry, expected === CLUSTER_ERRORS.unavailable ? "yes" : "no");
    t.match(error.message, /^patch Pod a\/x: words/);
  }
});

test("client: what is not there is undefined for get, nothing for delete; an unknown path stays an error", async (t) => {
  const { client } = await serve(t, (response, _asked, count) => {
    if (count <= 2) json(response, 404, status(404, "NotFound"));
    else response.writeHead(404, { "content-type": "text/plain" }).end("404 page not found\n");
  });
  t.equal(await client.get(RESOURCES.pod, ref), undefined);
  t.equal(await client.delete(RESOURCES.pod, ref), undefined);
  const error = await failure(client.get(RESOURCES.rollout, ref));
  t.equal(error.code, CLUSTER_ERRORS.notFound);
  t.equal(error.message, "get Rollout a/x: 404 page not found");
});

test("client: reads all pages of a list, fills in kinds, and begins again where the pages expired", async (t) => {
  const { client, asked } = await serve(
    t,
    (response, { url }) => {
      const at = new URL(url, "http://x").searchParams;
      const page = (names: string[], token?: string): unknown => ({
        kind: "PodList",
        metadata: { resourceVersion: "7", ...(token === undefined ? {} : { continue: token }) },
        items: names.map(pod),
      });
      if (at.get("labelSelector") === "slow") {
        if (at.get("continue") !== null) json(response, 410, status(410, "Expired"));
        else json(response, 200, at.get("limit") === null ? page(["p", "q", "r"]) : page(["p"], "late"));
      } else if (at.get("continue") === null) json(response, 200, page(["p", "q"], "two"));
      else json(response, 200, page(["r"]));
    },
    { pageSize: 2 },
  );
  const list = await client.list(RESOURCES.pod);
  t.strictSame(
    list.items.map(({ metadata, kind, apiVersion }) => [metadata.name, kind, apiVersion]),
    ["p", "q", "r"].map((name) => [name, "Pod", "v1"]),
  );
  t.equal(list.resourceVersion, "7");
  t.strictSame(
    asked.map(({ url }) => url),
    ["/api/v1/pods?limit=2", "/api/v1/pods?limit=2&continue=two"],
  );
  const again = await client.list(RESOURCES.pod, { labelSelector: "slow" });
  t.strictSame(
    again.items.map(({ metadata }) => metadata.name),
    ["p", "q", "r"],
  );
});

test("client: a watch yields one event per line, however the stream is cut", async (t) => {
  const lines = [
    { type: "ADDED", object: { ...pod("ä"), kind: "Pod", apiVersion: "v1" } },
    { type: "BOOKMARK", object: { kind: "Pod", metadata: { resourceVersion: "8" } } },
    {
      type: "BOOKMARK",
      object: {
        kind: "Pod",
        metadata: { resourceVersion: "9", annotations: { "k8s.io/initial-events-end": "true" } },
      },
    },
    { type: "DELETED", object: pod("ä") },
  ];
  const bytes = Buffer.from(`${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
  const { client, asked } = await serve(t, (response) => {
    response.writeHead(200);
    const step = (at: number): void => {
      if (at >= bytes.length) response.end();
      else response.write(bytes.subarray(at, at + 7), () => step(at + 7));
    };
    step(0);
  });
  const events = await Array.fromAsync(client.watch(RESOURCES.pod, { resourceVersion: "5", namespace: "a" }));
  t.match(asked[0]?.url, /watch=true&allowWatchBookmarks=true&resourceVersion=5/);
  t.strictSame(
    events.map((event) =>
      event.type === "BOOKMARK"
        ? [event.type, event.resourceVersion, event.isInitialEnd]
        : [event.type, event.object.metadata.name, event.object.kind],
    ),
    [
      ["ADDED", "ä", "Pod"],
      ["BOOKMARK", "8", false],
      ["BOOKMARK", "9", true],
      ["DELETED", "ä", "Pod"],
    ],
  );
});

test("client: a watch throws what its ERROR event says, and expired for 410", async (t) => {
  const { client } = await serve(t, (response, _asked, count) => {
    const code = count === 1 ? 410 : 500;
    response.writeHead(200).end(`${JSON.stringify({ type: "ERROR", object: status(code, "Expired") })}\n`);
  });
  const watch = (): Promise<unknown> =>
    Array.fromAsync(client.watch(RESOURCES.pod, { resourceVersion: "1" }));
  t.equal((await failure(watch())).code, CLUSTER_ERRORS.expired);
  t.equal((await failure(watch())).code, CLUSTER_ERRORS.unavailable);
});

test("client: a watch that breaks is unavailable, one that its signal ends is just over", async (t) => {
  const { client } = await serve(t, (response, _asked, count) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: "ADDED", object: pod("x") })}\n`, () => {
      if (count === 1) response.destroy();
    });
  });
  const seen: string[] = [];
  const error = await failure(
    (async () => {
      for await (const event of client.watch(RESOURCES.pod, { resourceVersion: "1" })) seen.push(event.type);
    })(),
  );
  t.equal(error.code, CLUSTER_ERRORS.unavailable);
  t.strictSame(seen, ["ADDED"]);
  const stop = new AbortController();
  for await (const event of client.watch(RESOURCES.pod, { resourceVersion: "1", signal: stop.signal })) {
    seen.push(event.type);
    stop.abort();
  }
  t.strictSame(seen, ["ADDED", "ADDED"]);
});

test("client: a server that does not answer in time is unavailable; a caller that gives up is told so", async (t) => {
  const clock = createManualClock();
  const held: ServerResponse[] = [];
  const { client } = await serve(t, (response) => void held.push(response), { clock, timeoutMs: 1000 });
  const first = failure(client.get(RESOURCES.pod, ref));
  while (held.length < 1) await settle();
  await clock.advance(1000);
  const late = await first;
  t.equal(late.code, CLUSTER_ERRORS.unavailable);
  t.match(late.message, /get Pod a\/x: no answer from the API server within 1000 ms/);
  const giveUp = new AbortController();
  const second = failure(client.get(RESOURCES.pod, ref, giveUp.signal));
  while (held.length < 2) await settle();
  giveUp.abort();
  t.equal((await second).code, CLUSTER_ERRORS.aborted);
  t.equal(clock.pending, 0);
});

test("client: a delete carries its preconditions in the body", async (t) => {
  const { client, asked } = await serve(t, (response) => json(response, 200, status(200, "")));
  await client.delete(RESOURCES.pod, ref, {
    uid: "u",
    resourceVersion: "3",
    gracePeriodSeconds: 0,
    dryRun: true,
  });
  t.strictSame(JSON.parse(asked[0]?.body ?? ""), {
    kind: "DeleteOptions",
    apiVersion: "v1",
    propagationPolicy: "Background",
    gracePeriodSeconds: 0,
    preconditions: { uid: "u", resourceVersion: "3" },
    dryRun: ["All"],
  });
});

test("client: refuses names that would lead elsewhere before it asks", async (t) => {
  const { client, asked } = await serve(t, (response) => json(response, 200, pod("x")));
  t.equal(
    (await failure(client.get(RESOURCES.pod, { namespace: "a", name: ".." }))).code,
    CLUSTER_ERRORS.invalid,
  );
  t.equal((await failure(client.get(RESOURCES.pod, { name: "x" }))).code, CLUSTER_ERRORS.invalid);
  t.equal(asked.length, 0);
});
