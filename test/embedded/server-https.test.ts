// The server on a socket: certificate, token, streams, bounds, kubeconfig, logs.
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { join } from "node:path";
import { test } from "tap";
import { parse } from "yaml";
import { type EmbeddedServer, type Listener, SERVER_ERRORS } from "../../src/embedded/embedded.ts";
import {
  type Any,
  CONFIG_MAPS,
  configMap,
  PODS,
  pod,
  ROLLOUTS,
  rollout,
  startServer,
  temporaryFolder,
} from "./server-support.ts";

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly token?: string | undefined;
}

function open(server: EmbeddedServer, listener: Listener, sent: Sent): Promise<IncomingMessage> {
  const token = "token" in sent ? sent.token : server.token;
  const authorization: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const url = new URL(sent.path, listener.url);
    const headers = { ...authorization, ...sent.headers };
    const agent = new Agent({ ca: server.certificate });
    const request = httpsRequest(url, { method: sent.method ?? "GET", headers, agent }, resolve);
    request.on("error", reject);
    request.end(sent.body);
  });
}

async function send(
  server: EmbeddedServer,
  listener: Listener,
  sent: Sent,
): Promise<{ status: number; text: string }> {
  const response = await open(server, listener, sent);
  const chunks: Uint8Array[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

test("server https: requests with the token are served over a certificate for 127.0.0.1 and localhost", async (t) => {
  const { server } = await startServer(t);
  const listener = await server.listen();
  t.match(listener.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const body = JSON.stringify(configMap("a"));
  const headers = { "content-type": "application/json" };
  const created = await send(server, listener, { method: "POST", path: CONFIG_MAPS, headers, body });
  t.equal(created.status, 201);
  const byName = { ...listener, url: listener.url.replace("127.0.0.1", "localhost") };
  t.equal((await send(server, byName, { path: `${CONFIG_MAPS}/a` })).status, 200);
});

test("server https: without the token only health and version answer", async (t) => {
  const { server } = await startServer(t);
  const listener = await server.listen();
  for (const token of [undefined, "wrong"]) {
    const refused = await send(server, listener, { path: CONFIG_MAPS, token });
    t.equal(refused.status, 401);
    t.match(JSON.parse(refused.text), { kind: "Status", reason: "Unauthorized", code: 401 });
    t.strictSame(await send(server, listener, { path: "/readyz", token }), { status: 200, text: "ok" });
    t.equal((await send(server, listener, { path: "/version", token })).status, 200);
  }
  const inProcess = await server
    .transport("wrong")
    .request({ method: "GET", path: CONFIG_MAPS, headers: {} });
  t.equal(inProcess.status, 401);
});

test("server https: a watch sends its head at once, each event as it happens, and ends with its client", async (t) => {
  const { server, api } = await startServer(t);
  const listener = await server.listen();
  const response = await open(server, listener, { path: `${CONFIG_MAPS}?watch=true` });
  t.equal(response.statusCode, 200);
  const chunks = response[Symbol.asyncIterator]();
  await api.post(CONFIG_MAPS, configMap("a"));
  t.match(JSON.parse(String((await chunks.next()).value)), { type: "ADDED" });
  await api.delete(`${CONFIG_MAPS}/a`);
  t.match(JSON.parse(String((await chunks.next()).value)), { type: "DELETED" });
  response.destroy();
  await listener.close();
  t.pass("closing does not wait for watches");
});

test("server https: a body beyond the bound is refused", async (t) => {
  const { server } = await startServer(t);
  const listener = await server.listen();
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(configMap("a", { data: { x: "y".repeat(3 * 1024 * 1024) } }));
  const refused = await send(server, listener, { method: "POST", path: CONFIG_MAPS, headers, body });
  t.equal(refused.status, 413);
  t.match(refused.text, /RequestEntityTooLarge/);
});

test("server https: warnings fit a header whatever the fields are called", async (t) => {
  const { server } = await startServer(t);
  const listener = await server.listen();
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`поле${n}\n`, n]));
  const body = JSON.stringify(rollout("web", many));
  const headers = { "content-type": "application/json" };
  const response = await open(server, listener, { method: "POST", path: ROLLOUTS, headers, body });
  t.equal(response.statusCode, 201);
  t.match(String(response.headers.warning), /^299 - "unknown field /);
  response.destroy();
});

test("server https: a port that is taken is an error that names it", async (t) => {
  const { server } = await startServer(t);
  const { port } = await server.listen();
  await t.rejects(server.listen({ port }), { code: SERVER_ERRORS.listen, context: { port } });
});

test("server https: the kubeconfig holds what a client needs", async (t) => {
  const { server } = await startServer(t);
  const listener = await server.listen();
  const path = join(temporaryFolder(t), "kubeconfig");
  server.writeKubeconfig(path, listener);
  const config: Any = parse(readFileSync(path, "utf8"));
  const [{ cluster }] = config.clusters;
  t.equal(cluster.server, listener.url);
  t.equal(Buffer.from(cluster["certificate-authority-data"], "base64").toString(), server.certificate);
  t.equal(config.users[0].user.token, server.token);
  t.match(config.contexts, [{ name: config["current-context"], context: { namespace: "default" } }]);
});

test("server https: logs stream from the node agent's provider with what was asked", async (t) => {
  const asked: Any[] = [];
  const { server, api } = await startServer(t, {
    logs: async function* (request) {
      asked.push(request);
      if (request.previous) throw new Error("there is no previous run");
      yield Buffer.from("one\n");
      yield Buffer.from("two\n");
    },
  });
  const containers = [
    { name: "a", image: "a:1" },
    { name: "b", image: "b:1" },
  ];
  const { body } = await api.post(PODS, pod("p", {}, { containers }));
  await api.post(PODS, pod("single"));
  const listener = await server.listen();
  const read = await send(server, listener, {
    path: `${PODS}/p/log?container=b&tailLines=5&timestamps=true`,
  });
  t.strictSame(read, { status: 200, text: "one\ntwo\n" });
  t.match(asked, [
    { pod: "p", uid: body.metadata.uid, container: "b", tailLines: 5, timestamps: true, follow: false },
  ]);
  t.equal((await send(server, listener, { path: `${PODS}/single/log?limitBytes=5` })).text, "one\nt");
  const unnamed = await send(server, listener, { path: `${PODS}/p/log` });
  t.equal(unnamed.status, 400);
  t.match(
    JSON.parse(unnamed.text).message,
    "a container name must be specified for pod p, choose one of: [a b]",
  );
  const previous = await send(server, listener, { path: `${PODS}/single/log?previous=true` });
  t.match(JSON.parse(previous.text), { code: 400, message: "there is no previous run" });
  t.equal((await send(server, listener, { path: `${PODS}/none/log` })).status, 404);
});

test("server https: following a log ends when the client goes", async (t) => {
  let isEnded = false;
  const ended = Promise.withResolvers<void>();
  const { server, api } = await startServer(t, {
    logs: async function* ({ signal }) {
      yield Buffer.from("one\n");
      await new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }));
      isEnded = true;
      ended.resolve();
    },
  });
  await api.post(PODS, pod("p"));
  const listener = await server.listen();
  const response = await open(server, listener, { path: `${PODS}/p/log?follow=true` });
  const chunks = response[Symbol.asyncIterator]();
  t.equal(String((await chunks.next()).value), "one\n");
  response.destroy();
  await ended.promise;
  t.ok(isEnded);
});
