// From manifest to behaviour: every feature of docs/reference/policy.md is applied to a local cluster as a user would, and shown by requests
// through its gateway.
import { readFile } from "node:fs/promises";
import { request as send } from "node:http";
import { connect } from "node:net";
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { connectCluster } from "../../src/cluster/client.ts";
import { freePort } from "../support/ports.ts";
import { type RunningUp, startUp, stateFolder } from "../support/up.ts";
import { until } from "../support/web.ts";
import {
  type Answer,
  type AskOptions,
  CASES,
  type Case,
  type Echoed,
  type RawConnection,
  type Tools,
} from "./policy.cases.ts";
import { LIMIT_CASES } from "./policy.limitcases.ts";
import { REWRITE_CASES } from "./policy.rewritecases.ts";

const ALL = [...CASES, ...LIMIT_CASES, ...REWRITE_CASES];
const BACKENDS = ["one", "two"] as const;
const ASK_MS = 10_000;

/** Ports of listeners that cases have for themselves, by index. */
type Ports = ReadonlyMap<number, number>;

const base = (port: number, own: Ports): string =>
  [
    `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  gatewayClassName: weir
  listeners:
    - { name: http, protocol: HTTP, port: ${port} }
${[...own].map(([index, port]) => `    - { name: case-${index}, protocol: HTTP, port: ${port} }\n`).join("")}`,
    ...BACKENDS.map(
      (name) => `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  containers:
    - name: echo
      image: echo
      command: [${JSON.stringify(process.execPath)}, ${JSON.stringify(`${process.cwd()}/test/support/echo.ts`)}, ${name}]
      ports: [{ containerPort: 8080 }]
      readinessProbe: { httpGet: { path: /seen, port: 8080 }, periodSeconds: 1 }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name} }
spec:
  parentRefs: [{ name: edge }]
  hostnames: [${name}.plain.test]
  rules: [{ backendRefs: [{ name: ${name}, port: 80 }] }]
`,
    ),
    STUCK,
  ].join("---\n");

/** Two Services of one backend that never reads. */
const STUCK = `apiVersion: v1
kind: Pod
metadata: { name: stuck, labels: { app: stuck } }
spec:
  containers:
    - name: echo
      image: echo
      command: [${JSON.stringify(process.execPath)}, ${JSON.stringify(`${process.cwd()}/test/support/echo.ts`)}, stuck]
      ports: [{ containerPort: 8080 }]
---
${["slow", "stuck"]
  .map(
    (name) => `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: stuck }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
`,
  )
  .join("---\n")}`;

const hostOf = (index: number): string => `case-${index}.test`;

function manifestsOf({ rules, policies = [] }: Case, index: number): string {
  const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: case-${index} }
spec:
  parentRefs: [{ name: edge }]
  hostnames: [${hostOf(index)}]
  rules:${rules ?? " [{ backendRefs: [{ name: one, port: 80 }] }]"}
`;
  const attached = policies.map(
    (spec, at) => `apiVersion: weir.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: case-${index}-${at} }
spec:
${spec.replaceAll("ROUTE", `case-${index}`).replaceAll("LISTENER", `case-${index}`)}
`,
  );
  return [route, ...attached].join("---\n").replaceAll("HOST", hostOf(index));
}

function askOver(port: number, host: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body = "" } = options;
  return new Promise((resolve, reject) => {
    const request = send(
      {
        host: "127.0.0.1",
        port,
        path,
        method,
        agent: false,
        headers: { host: options.host ?? host, ...headers },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1");
        });
        response.once("error", reject);
        response.once("end", () => {
          const isJson = response.headers["content-type"] === "application/json" && text.startsWith("{");
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            ...(isJson && { echoed: JSON.parse(text) }),
          });
        });
      },
    );
    request.setTimeout(ASK_MS, () => request.destroy(new Error(`no answer to ${method} ${path}`)));
    request.once("error", reject);
    request.end(body);
  });
}

function connectionTo(t: Test, port: number): RawConnection {
  const socket = connect({ port, host: "127.0.0.1" });
  t.teardown(() => socket.destroy());
  let text = "";
  let isClosed = false;
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    isClosed = true;
  });
  return {
    send: (input) => void socket.write(input),
    got: (pattern) => until(`${pattern}`, async () => (pattern.test(text) ? text : undefined)),
    closed: async () => {
      await until("the connection is closed", async () => (isClosed ? true : undefined));
      return text;
    },
  };
}

/** Adds up a figure of the admin port's /metrics. */
async function metricAt(
  adminPort: number,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) && wanted.every((label) => line.includes(label)));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

async function adminPortOf(t: Test, up: RunningUp): Promise<number> {
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const { items } = await client.list(RESOURCES.pod, {
    namespace: "default",
    labelSelector: "weir.dev/gateway=edge",
  });
  return Number(items[0]?.metadata.annotations?.["weir.dev/admin-port"]);
}

function toolsOf(t: Test, port: number, ownPort: number, adminPort: number, host: string): Tools {
  return {
    ask: (path, options) => askOver(ownPort, host, path, options),
    connection: () => connectionTo(t, ownPort),
    async seen(backend) {
      const { text } = await askOver(port, `${backend}.plain.test`, "/seen");
      const all: readonly Echoed[] = JSON.parse(text);
      const name = host.replace(".test", "");
      return all.filter(({ headers }) => headers.host?.startsWith(name));
    },
    metric: (name, labels) => metricAt(adminPort, name, labels),
    until,
    equal: (found, wanted, words) => void t.strictSame(found, wanted, words ?? "as it should be"),
    match: (found, wanted, words) => void t.match(found, wanted, words ?? "as it should be"),
  };
}

test("policy: every feature goes from manifest to behaviour", { timeout: 170_000 }, async (t) => {
  const up = await startUp(await stateFolder(t));
  const port = await freePort();
  const own = new Map<number, number>();
  for (const [index, { hasListener }] of ALL.entries()) if (hasListener) own.set(index, await freePort());
  t.match(await up.weir(["apply", "-f", "-"], base(port, own)), { code: 0 });
  t.match(await up.weir(["apply", "-f", "-"], ALL.map(manifestsOf).join("---\n")), { code: 0 });
  for (const name of BACKENDS)
    await until(`${name} is served`, async () => {
      const answer = await askOver(port, `${name}.plain.test`, "/seen").catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
  const adminPort = await adminPortOf(t, up);
  for (const [index, one] of ALL.entries())
    await t.test(one.feature, async (t) => {
      await one.check(toolsOf(t, port, own.get(index) ?? port, adminPort, hostOf(index)));
    });
});

test("policy: every case is a row of the reference", async (t) => {
  const page = await readFile("docs/reference/policy.md", "utf8");
  for (const { feature } of ALL) t.ok(page.includes(`| ${feature} |`), feature);
});
