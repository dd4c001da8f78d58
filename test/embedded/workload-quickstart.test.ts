// The quick start's files: manifests that weir's lint and Argo's own schemas accept, the application, and the load generator.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { AnalysisTemplate, Rollout } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1";
import { type Test, test } from "tap";
import { parseAllDocuments } from "yaml";
import { type KubeObject, lint } from "../../src/api/api.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";
import { freePort } from "../support/ports.ts";

const FOLDER = new URL("../../deploy/examples/quickstart/", import.meta.url);
const FILES = ["base/services", "base/gateways", "base/analysis", "base/rollout", "rollout-v2", "rollout-v3"];

function manifests(file: string): readonly KubeObject[] {
  const text = readFileSync(new URL(`${file}.yaml`, FOLDER), "utf8");
  // The cast holds as far as the lint in the first test goes.
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

interface App {
  readonly child: ChildProcess;
  readonly url: string;
  readonly exited: Promise<number | null>;
}

async function startApp(t: Test, env: Readonly<Record<string, string>>, port?: number): Promise<App> {
  const taken = port ?? (await freePort());
  const child = spawn(process.execPath, [new URL("app.ts", FOLDER).pathname], {
    env: { PORT: String(taken), POD_IP: "127.0.0.1", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { child, url: `http://127.0.0.1:${taken}`, exited };
}

test("quickstart: lint finds nothing to mend, and Argo's own schemas accept the objects", (t) => {
  for (const file of FILES) {
    for (const object of manifests(file)) {
      t.same(lint(object, CAPABILITIES), [], `${file}: ${object.kind} ${object.metadata.name}`);
      if (object.kind === "Rollout") new Rollout(object as never).validate();
      if (object.kind === "AnalysisTemplate") new AnalysisTemplate(object as never).validate();
    }
  }
  const [rollout] = manifests("base/rollout");
  const wrong = { ...rollout, spec: { ...(rollout?.spec as object), replicas: "four" } };
  t.throws(() => new Rollout(wrong as never).validate(), "the schemas do refuse something");
  t.end();
});

test("quickstart: the versions differ in image and environment alone", (t) => {
  const [first, second, third] = ["base/rollout", "rollout-v2", "rollout-v3"].map((file) => {
    const [rollout] = manifests(file);
    const text = JSON.stringify(rollout)
      .replace(/"image":"[^"]*"/, "")
      .replace(/"env":\[.*?\]/, "");
    const [, image] = /"image":"([^"]*)"/.exec(JSON.stringify(rollout)) ?? [];
    return { text, image };
  });
  t.equal(first?.text, second?.text);
  t.equal(first?.text, third?.text);
  t.same(
    [first?.image, second?.image, third?.image],
    ["blue", "green", "red"].map((tag) => `argoproj/rollouts-demo:${tag}`),
  );
  t.end();
});

test("quickstart app: fails as often as it is told, repeatably, and is healthy all the while", async (t) => {
  const statuses = async (): Promise<string> => {
    const app = await startApp(t, { VERSION: "red", ERROR_RATE: "0.3", SEED: "7" });
    const seen: number[] = [];
    for (let turn = 0; turn < 50; turn += 1) {
      const response = await fetch(app.url);
      t.equal(response.headers.get("x-version"), "red");
      await response.arrayBuffer();
      seen.push(response.status);
    }
    t.equal((await fetch(`${app.url}/healthz`)).status, 200);
    return seen.join(" ");
  };
  const first = await statuses();
  t.equal(await statuses(), first);
  const errors = first.split(" ").filter((status) => status === "500").length;
  t.ok(errors >= 8 && errors <= 22, `${errors} of 50`);
});

test("quickstart app: after SIGTERM answers what is under way and, for a moment, what is new, then exits with 0", async (t) => {
  const app = await startApp(t, { VERSION: "blue", LATENCY_MS: "800" });
  const sent = request(app.url);
  const answer = new Promise<number>((resolve, reject) => {
    sent.once("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.once("error", reject);
  });
  sent.end();
  const connected = await new Promise<boolean>((resolve) => {
    sent.once("finish", () => resolve(true));
  });
  t.ok(connected);
  // An answer to a later request: the earlier one has been read.
  await fetch(`${app.url}/healthz`);
  const drains = new Promise((resolve) => app.child.stdout?.once("data", resolve));
  app.child.kill("SIGTERM");
  await drains;
  const late = await fetch(`${app.url}/healthz`);
  t.same([late.status, late.headers.get("connection")], [200, "close"]);
  t.equal(await answer, 200);
  t.equal(await app.exited, 0);
  await t.rejects(fetch(app.url));
});

test("quickstart app: a setting that is no number ends it with words", async (t) => {
  const child = spawn(process.execPath, [new URL("app.ts", FOLDER).pathname], {
    env: { PORT: "1", ERROR_RATE: "2" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let words = "";
  child.stderr.on("data", (data) => {
    words += data;
  });
  t.equal(await new Promise((resolve) => child.once("close", resolve)), 2);
  t.equal(words, 'ERROR_RATE must be a number from 0 to 1, not "2"\n');
});

interface Summary {
  readonly phase?: string;
  readonly total?: boolean;
  readonly second?: object;
  readonly sent: number;
  readonly answers: number;
  readonly failed: number;
  readonly retried: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, { readonly statuses: Readonly<Record<string, number>> }>>;
  readonly latencyMs: { readonly p50: number };
}

test("quickstart load: counts every request by phase, version and status, and tries a refused one elsewhere", async (t) => {
  const blue = await startApp(t, { VERSION: "blue" });
  const green = await startApp(t, { VERSION: "green", ERROR_RATE: "1" });
  const targets = `${blue.url},${green.url}`;
  const load = spawn(
    process.execPath,
    [new URL("load.ts", FOLDER).pathname, "--targets", targets, "--rate", "100", "--host", "demo"],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  t.teardown(() => load.kill("SIGKILL"));
  const lines: Summary[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: load.stdout }).on("line", (line) => {
    lines.push(JSON.parse(line));
    for (const wake of waiting) wake();
  });
  const until = (isThere: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!isThere()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  await until(() => lines.some(({ second }) => second !== undefined));
  load.stdin.write("mark one-gone\n");
  await until(() => lines.some(({ phase, second }) => phase === "start" && second === undefined));
  green.child.kill("SIGTERM");
  await green.exited;
  const seen = lines.length;
  await until(() => lines.length >= seen + 2);
  load.kill("SIGTERM");
  await new Promise((resolve) => load.once("close", resolve));

  const start = lines.find(({ phase, second }) => phase === "start" && second === undefined);
  const total = lines.find((line) => line.total === true);
  t.ok(start && start.answers > 20);
  t.same(Object.keys(start?.versions.green?.statuses ?? {}), ["500"], "an error is an answer");
  t.equal(start?.retried, 0);
  t.ok((start?.latencyMs.p50 ?? 0) > 0);
  t.ok(total && total.retried > 20, "what the ended one refused went to the other");
  t.equal((total?.answers ?? 0) + (total?.failed ?? 0), total?.sent, "every request is counted once");
  // A connection that the kernel had accepted and the ending process had not is reset: it was not refused, so it is not tried again.
  t.ok(Object.keys(total?.failures ?? {}).every((reason) => reason === "ECONNRESET"));
  t.ok((total?.failed ?? 0) <= 2, `${total?.failed} requests without an answer`);
});
