// A routed Rollout `shop` on a running `weir up` for tests that look at where requests go: its pods say which version answers and write down
// every request that they get, copies too.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import {
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type Rollout,
  readRollout,
  readService,
} from "../../src/api/api.ts";
import { type ClusterClient, connectCluster } from "../../src/cluster/client.ts";
import { freePort } from "./ports.ts";
import { type RunningUp, startUp, stateFolder } from "./up.ts";

const NAMESPACE = "default";
const TIMEOUT_MS = 60_000;

/** The pods' program: answers with its version, and notes each request in a file. */
const PROGRAM = `
const { appendFileSync } = require("node:fs");
require("node:http").createServer((request, response) => {
  const { url, method, headers } = request;
  const isCopy = headers["x-weir-shadow"] !== undefined;
  if (url !== "/healthz") appendFileSync(process.env.NOTES, JSON.stringify({ version: process.env.VERSION, pod: process.env.POD_NAME, method, url, isCopy }) + "\\n");
  request.resume().once("end", () => response.end(process.env.VERSION));
}).listen(Number(process.env.PORT), process.env.POD_IP);
`;

/** A request as a pod got it. */
export interface Noted {
  readonly version: string;
  readonly pod: string;
  readonly method: string;
  readonly url: string;
  readonly isCopy: boolean;
}

export interface RoutedShop {
  readonly client: ClusterClient;
  readonly up: RunningUp;
  /** The manifests of version `version`. */
  rollout(version: string): KubeObject;
  apply(objects: readonly KubeObject[]): Promise<void>;
  /** Versions that answered `count` requests, each with how often; a status but 200 counts as itself, a broken connection as its error. */
  answers(
    count: number,
    request?: { readonly path?: string; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Readonly<Record<string, number>>>;
  /** What the pods have noted so far. */
  noted(): Promise<readonly Noted[]>;
  until(what: string, isWanted: (rollout: Rollout) => boolean): Promise<Rollout>;
  /** The version that a Service selects. */
  selected(service: string): Promise<string | undefined>;
}

export interface ShopSettings {
  readonly replicas?: number;
  /** Of strategy.canary, over the usual ones. */
  readonly canary: Readonly<Record<string, unknown>>;
  /** Names of its two Services; the HTTPRoute leads to the first. */
  readonly services?: readonly [string, string];
  /** What stands beside it from the start. */
  readonly objects?: readonly KubeObject[];
  /** The HTTPRoute's rule takes paths below it; `/` when absent. */
  readonly path?: string;
}

/** Starts `weir up` with the shop's Gateway, Services, HTTPRoute and version 1, and waits until it serves. */
export async function routedShop(t: Test, settings: ShopSettings): Promise<RoutedShop> {
  const [up, port, notes] = await Promise.all([startUp(await stateFolder(t)), freePort(), notesFile(t)]);
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const { services = ["shop", "shop-canary"], objects = [], path = "/" } = settings;
  const rollout = (version: string): KubeObject => rolloutOf(version, notes, settings);
  const shop: RoutedShop = {
    client,
    up,
    rollout,
    async apply(objects) {
      const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
      const { code, stderr } = await up.weir(["apply", "-f", "-"], text);
      t.equal(code, 0, stderr);
    },
    async answers(count, request = {}) {
      const found: Record<string, number> = {};
      for (let sent = 0; sent < count; sent += 1) {
        const answer = await answerOf(port, request.path ?? "/", request.headers ?? {});
        found[answer] = (found[answer] ?? 0) + 1;
      }
      return found;
    },
    async noted() {
      const lines = (await readFile(notes, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
      return lines.map((line) => JSON.parse(line) as Noted); // what PROGRAM writes
    },
    until: (what, isWanted) => untilRollout(client, what, isWanted),
    async selected(name) {
      const object = await client.get(RESOURCES.service, { namespace: NAMESPACE, name });
      return object === undefined ? undefined : readService(object).value.spec.selector?.[POD_HASH_LABEL];
    },
  };
  const around = [...services.map(serviceOf), gatewayAt(port), routeTo(services[0], path), ...objects];
  await shop.apply([...around, rollout("one")]);
  await shop.until("the first version serves", ({ status }) => status.phase === "Healthy");
  const deadlineMs = Date.now() + TIMEOUT_MS;
  while ((await shop.answers(1, { path })).one === undefined)
    if (Date.now() > deadlineMs) throw new Error("the gateway does not serve version one");
  return shop;
}

async function notesFile(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-notes-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "requests");
}

function rolloutOf(version: string, notes: string, { replicas = 2, canary }: ShopSettings): KubeObject {
  const container = {
    name: "shop",
    image: "none",
    command: [process.execPath, "-e", PROGRAM],
    env: [
      { name: "VERSION", value: version },
      { name: "NOTES", value: notes },
    ],
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 1 },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "shop" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "shop" } },
      template: { metadata: { labels: { app: "shop" } }, spec: { containers: [container] } },
      strategy: { canary: { scaleDownDelaySeconds: 1, ...canary } },
    },
  };
}

function serviceOf(name: string): KubeObject {
  const ports = [{ name: "http", port: 80, targetPort: "http" }];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app: "shop" }, ports },
  };
}

function gatewayAt(port: number): KubeObject {
  const listeners = [{ name: "http", protocol: "HTTP", port }];
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "shop" },
    spec: { gatewayClassName: "weir", listeners },
  };
}

function routeTo(service: string, value: string): KubeObject {
  const matches = [{ path: { type: "PathPrefix", value } }];
  const rule = { matches, backendRefs: [{ name: service, port: 80 }] };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "shop" },
    spec: { parentRefs: [{ name: "shop" }], rules: [rule] },
  };
}

function answerOf(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ port, path, headers, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.once("end", () => resolve(response.statusCode === 200 ? body : `${response.statusCode}`));
    });
    request.once("error", ({ message }) => resolve(message));
  });
}

async function untilRollout(
  client: ClusterClient,
  what: string,
  isWanted: (rollout: Rollout) => boolean,
): Promise<Rollout> {
  const deadlineMs = Date.now() + TIMEOUT_MS;
  for (;;) {
    const object = await client.get(RESOURCES.rollout, { namespace: NAMESPACE, name: "shop" });
    const rollout = object && readRollout(object).value;
    const isSeen = rollout?.status.observedGeneration === String(rollout?.metadata.generation);
    if (rollout !== undefined && isSeen && isWanted(rollout)) return rollout;
    if (Date.now() > deadlineMs)
      throw new Error(`${what}: not seen; ${JSON.stringify(rollout?.status, undefined, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
