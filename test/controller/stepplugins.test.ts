// Step plugins: what the webhook asks and how its answers count, on a real HTTP server; and the caller that keeps calls beside the passes.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { createStepPlugins, type StepPlugin, type StepPlugins } from "../../src/controller/stepplugins.ts";
import { callWebhook } from "../../src/controller/webhookstep.ts";
import type { PluginCall } from "../../src/engine/decide.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createManualClock } from "../support/clock.ts";
import { rolloutManifest } from "../support/world.ts";
import { BOUNDED } from "./acknowledged.ts";
import { controllerBed, NAMESPACE } from "./bed.ts";

const SUBJECT = { namespace: "default", name: "web", uid: "uid-web" };
const ROLLOUT = rolloutManifest({});

function callTo(config: unknown, more: Partial<PluginCall> = {}): PluginCall {
  return {
    id: "uid-web/abc/0/2026/Run/1",
    index: 0,
    name: "weir.dev/webhook",
    operation: "Run",
    execution: 1,
    config,
    status: undefined,
    revision: 2,
    versions: { stable: "aaa", canary: "bbb" },
    ...more,
  };
}

async function serve(
  t: Test,
  handle: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => handle(request, body, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // listens on TCP
  return `http://127.0.0.1:${port}/gate`;
}

const never = (): AbortSignal => new AbortController().signal;

test("webhook step: the server is told whose step it is, and gets back what it told to keep", async (t) => {
  const seen: { method: string; headers: IncomingMessage["headers"]; body: unknown }[] = [];
  const url = await serve(t, (request, body, response) => {
    seen.push({ method: request.method ?? "", headers: request.headers, body: JSON.parse(body) });
    response.end('{"phase":"Running","message":"1 of 2 agreed","status":{"agreed":1},"retryAfter":"45s"}');
  });
  const config = { url, headers: { authorization: "Bearer t" } };
  const call = callTo(config, { execution: 2, status: { agreed: 0 } });
  t.strictSame(await callWebhook(call, SUBJECT, never()), {
    kind: "answer",
    phase: "Running",
    message: "1 of 2 agreed",
    status: { agreed: 1 },
    retryAfterMs: 45_000,
  });
  const [first] = seen;
  t.equal(first?.method, "POST");
  t.match(first?.headers, { authorization: "Bearer t", "idempotency-key": call.id });
  t.strictSame(first?.body, {
    id: call.id,
    operation: "Run",
    execution: 2,
    plugin: "weir.dev/webhook",
    step: 1,
    rollout: { namespace: "default", name: "web", uid: "uid-web", revision: 2 },
    versions: { stable: "aaa", canary: "bbb" },
    status: { agreed: 0 },
  });
});

test("webhook step: what a server may answer, and what each counts as", async (t) => {
  const answers: [status: number, headers: Record<string, string>, body: string, answer: object][] = [
    [200, {}, "", { kind: "answer", phase: "Successful" }],
    [204, {}, "", { kind: "answer", phase: "Successful" }],
    [202, { "retry-after": "20" }, "", { kind: "answer", phase: "Running", retryAfterMs: 20_000 }],
    [200, {}, "{}", { kind: "answer", phase: "Successful", message: "" }],
    [200, {}, '{"phase":"Failed","message":"no"}', { kind: "answer", phase: "Failed", message: "no" }],
    [
      200,
      {},
      '{"phase":"Done"}',
      { kind: "error", message: 'phase "Done" is none of Running, Successful, Failed, Error' },
    ],
    [200, {}, "<p>hello</p>", { kind: "error", message: "the answer is not JSON: <p>hello</p>" }],
    [200, {}, "[1]", { kind: "error", message: "the answer is not a JSON object" }],
  ];
  let at = 0;
  const url = await serve(t, (_request, _body, response) => {
    const [status, headers, body] = answers[at] ?? [500, {}, ""];
    response.writeHead(status, headers).end(body);
  });
  for (at = 0; at < answers.length; at += 1)
    t.strictSame(await callWebhook(callTo({ url }), SUBJECT, never()), answers[at]?.[3], `answer ${at}`);
});

test("webhook step: refusals, redirects, silence and floods are errors in words", async (t) => {
  const url = await serve(t, ({ url: path = "" }, _body, response) => {
    if (path === "/denied") response.writeHead(403).end("not  yours\n");
    else if (path === "/broken") response.writeHead(503).end();
    else if (path === "/moved") response.writeHead(302, { location: "/gate" }).end();
    else if (path === "/flood") response.end("x".repeat(70_000));
  });
  const { origin } = new URL(url);
  const words = async (path: string, more: object = {}): Promise<string> => {
    const answer = await callWebhook(callTo({ url: `${origin}${path}`, ...more }), SUBJECT, never());
    return answer.kind === "error" ? answer.message : `not an error: ${JSON.stringify(answer)}`;
  };
  t.equal(await words("/denied"), `POST ${origin}/denied answered 403: not yours`);
  t.equal(await words("/broken"), `POST ${origin}/broken answered 503`);
  t.match(await words("/moved"), /redirect/);
  t.match(await words("/flood"), /larger than 65536 bytes/);
  t.equal(await words("/silent", { timeout: "50ms" }), `POST ${origin}/silent: no answer within 50 ms`);
  t.match(await words("/x", { url: "ftp://example.com" }), /config: url is not an http or https URL/);
  t.match(await words("/x", { url: "http://127.0.0.1:1/" }), /^POST http:\/\/127.0.0.1:1\/: .+/);
});

/** A plugin whose calls end when the test says so. */
function heldPlugin(): {
  readonly plugin: StepPlugin;
  readonly calls: { id: string; signal: AbortSignal; answer: (message: string) => void }[];
} {
  const calls: { id: string; signal: AbortSignal; answer: (message: string) => void }[] = [];
  const plugin: StepPlugin = (call, _subject, signal) =>
    new Promise((resolve) => {
      const answer = (message: string): void => resolve({ kind: "answer", phase: "Successful", message });
      calls.push({ id: call.id, signal, answer });
    });
  return { plugin, calls };
}

function create(t: Test, plugin: StepPlugin): { readonly plugins: StepPlugins; readonly woken: string[] } {
  const woken: string[] = [];
  const clock = createManualClock();
  const table = { "acme/gate": plugin, "acme/off": "disabled" as const };
  const plugins = createStepPlugins({ clock, log: silentLogger, wake: (key) => woken.push(key), table });
  t.teardown(() => plugins.stop());
  return { plugins, woken };
}

const gate = (id: string): PluginCall => callTo({}, { id, name: "acme/gate" });
const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("step plugins: a call is made once however often it is asked for, and wakes its Rollout", async (t) => {
  const { plugin, calls } = heldPlugin();
  const { plugins, woken } = create(t, plugin);
  t.match(plugins.snapshot("default/web"), {
    names: ["acme/gate", "acme/off"],
    disabled: ["acme/off"],
    outcomes: [],
  });
  for (let pass = 0; pass < 3; pass += 1) plugins.carryOut("default/web", ROLLOUT, [gate("one")]);
  await turnOfLoop();
  t.equal(calls.length, 1);
  calls[0]?.answer("done");
  await turnOfLoop();
  t.strictSame(woken, ["default/web"]);
  t.match(plugins.snapshot("default/web").outcomes, [{ call: { id: "one" }, answer: { message: "done" } }]);
  t.strictSame(plugins.snapshot("default/other").outcomes, []);
  plugins.carryOut("default/web", ROLLOUT, []);
  t.strictSame(plugins.snapshot("default/web").outcomes, [], "told by a status, and forgotten");
});

test("step plugins: a call that is no longer asked for is ended, and its answer never counts", async (t) => {
  const { plugin, calls } = heldPlugin();
  const { plugins, woken } = create(t, plugin);
  plugins.carryOut("default/web", ROLLOUT, [gate("run")]);
  await turnOfLoop();
  plugins.carryOut("default/web", ROLLOUT, [gate("abort")]);
  await turnOfLoop();
  t.strictSame(
    calls.map(({ id, signal }) => [id, signal.aborted]),
    [
      ["run", true],
      ["abort", false],
    ],
  );
  calls[0]?.answer("too late");
  await turnOfLoop();
  t.strictSame(woken, []);
  plugins.forget("default/web");
  t.equal(calls[1]?.signal.aborted, true);
});

test("step plugins: only so many calls are made at a time, the others wait for their turn", async (t) => {
  const { plugin, calls } = heldPlugin();
  const { plugins } = create(t, plugin);
  for (let at = 0; at < 40; at += 1) plugins.carryOut(`default/web${at}`, ROLLOUT, [gate(`call ${at}`)]);
  await turnOfLoop();
  t.equal(calls.length, 32);
  for (const { answer } of [...calls]) answer("done");
  await turnOfLoop();
  t.equal(calls.length, 40);
});

test("step plugins: one that throws is an error, not the end of anybody", async (t) => {
  const { plugins, woken } = create(t, () => Promise.reject(new Error("boom")));
  plugins.carryOut("default/web", ROLLOUT, [gate("one")]);
  await turnOfLoop();
  t.strictSame(woken, ["default/web"]);
  t.match(plugins.snapshot("default/web").outcomes, [{ answer: { kind: "error", message: "boom" } }]);
});

for (const callsStepPlugins of [false, true]) {
  const what = callsStepPlugins ? "asks the server" : "that may call none asks nobody and says why";
  test(`step plugins: a controller ${what}`, BOUNDED, async (t) => {
    let asked = 0;
    const url = await serve(t, (_request, _body, response) => {
      asked += 1;
      response.end('{"phase":"Running"}');
    });
    const steps = [{ plugin: { name: "weir.dev/webhook", config: { url } } }];
    const bed = await controllerBed(t, { strategy: { canary: { steps } } });
    await bed.lead({ callsStepPlugins });
    await bed.untilRollout("version 1 is healthy", ({ status }) => status.phase === "Healthy");
    await bed.image("2");
    if (callsStepPlugins) {
      await bed.until("it is asked", () => asked > 0);
      return t.pass("asked");
    }
    const told = await bed.until("it is told", async () => {
      const { items } = await bed.client.list(RESOURCES.event, { namespace: NAMESPACE });
      return items.find((event) => event.reason === "ReconciliationError");
    });
    t.match(told.message, /step plugin "weir.dev\/webhook" is not called: .*--no-step-plugins/);
    await bed.holds("the step is not done", ({ status }) => status.currentStepIndex === 0);
    t.equal(asked, 0);
  });
}
