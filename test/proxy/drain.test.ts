// The end of a proxy: in process and as `runProxy` under an AbortSignal; and what the admin port says meanwhile.
import { connect } from "node:net";
import { test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger, silentLogger } from "../../src/lib/log.ts";
import { Core } from "../../src/proxy/core.ts";
import { Drain } from "../../src/proxy/drain.ts";
import { runProxy } from "../../src/proxy/server.ts";
import { BootstrapSchema, fromJson, registry } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import {
  bootstrapOf,
  eventually,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
  talk,
} from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

test("drain: who joins one that is under way closes its ports with the others", async (t) => {
  const clock = createManualClock();
  const core = new Core({ clock, log: silentLogger, limits: { drainDelayMs: 5_000 } });
  const steps: string[] = [];
  const drain = new Drain(core, {
    sayLast: () => steps.push("last"),
    drain: async () => void steps.push("closed"),
  });
  void drain.begin(2_000);
  void drain.begin();
  await clock.advance(1_900);
  t.strictSame([steps, core.isDraining], [["last"], false]);
  await clock.advance(200);
  t.strictSame([steps, core.isDraining], [["last", "closed"], true]);
  const late: string[] = [];
  void new Drain(core, {
    sayLast: () => late.push("last"),
    drain: async () => void late.push("closed"),
  }).begin(0);
  await clock.advance(0);
  t.strictSame(late, ["last", "closed"], "at once, when they have closed them");
});

test("drain: what is in flight finishes, answers say close, nothing new is accepted, /ready fails", async (t) => {
  let answer: (() => void) | undefined;
  const origin = await recordingOrigin(t, (seen, response) => {
    if (seen.url === "/slow") answer = () => response.end("done");
    else response.end("ok");
  });
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    hasAdmin: true,
    limits: { drainMs: 2_000 },
  });
  const ready = async (): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/ready`);
    return `${response.status} ${await response.text()}`;
  };
  t.equal(await ready(), "200 ready\n");
  const slow = talk(port, GET.replace("/", "/slow"));
  const idle = connect(port, "127.0.0.1");
  let idleText = "";
  idle.on("data", (chunk: Buffer) => {
    idleText += chunk.toString("latin1");
  });
  idle.write(GET);
  await eventually(() => answer !== undefined && idleText.endsWith("ok"), "both reached the origin");
  const stopped = proxy.stop();
  t.equal(await ready(), "503 not ready: draining\n");
  await eventually(() => proxy.listenerPort("main") === undefined, "the listener is closed");
  t.equal((await talk(port, GET)).end, "reset", "refused");
  idleText = "";
  idle.write(GET);
  await eventually(() => idleText.endsWith("ok"), "a kept connection is served once more");
  t.match(idleText, /\r\nconnection: close\r\n/);
  answer?.();
  const { text, end } = await slow;
  t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n\r\n[\s\S]*done/);
  t.equal(end, "fin");
  await stopped;
  await t.rejects(ready(), "the admin port is closed last");
});

test("drain: 0 requests fail under load from clients that try again when refused", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => setTimeout(() => response.end("ok"), 2));
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { drainMs: 2_000 } });
  const failures: string[] = [];
  let served = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const { text } = await talk(port, GET, ANSWERED);
      if (text === "") return;
      if (/^HTTP\/1\.1 200 [\s\S]*ok/.test(text)) served += 1;
      else failures.push(text);
    }
  };
  const workers = Array.from({ length: 8 }, () => worker());
  await eventually(() => served > 50, "load runs");
  await proxy.stop();
  await Promise.all(workers);
  t.strictSame(failures, []);
  t.equal(proxy.stats()[0]?.values.get("error"), undefined);
});

test("drain: who is connected already when the port closes is served, however many wait to be accepted", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { drainMs: 2_000 } });
  // The system connects them before this process comes to accept any.
  const asked = Array.from({ length: 40 }, () => talk(port, GET, ANSWERED));
  const stopped = proxy.stop();
  const served = (await Promise.all(asked)).filter(({ text }) => /^HTTP\/1\.1 200 [\s\S]*ok/.test(text));
  t.equal(served.length, 40);
  await stopped;
});

test("drain: for a while new connections are still taken, answers say close, and upstream connections are kept", async (t) => {
  const clock = createManualClock();
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    limits: { drainDelayMs: 5_000, drainMs: 1_000 },
  });
  const stopped = proxy.stop();
  t.equal(proxy.unreadyReason(), "draining");
  for (let turn = 0; turn < 3; turn++) {
    const { text, end } = await talk(port, GET);
    t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n/);
    t.equal(end, "fin");
  }
  t.equal(new Set(origin.seen.map(({ peerPort }) => peerPort)).size, 1, "one upstream connection");
  await clock.advance(4_900);
  t.match((await talk(port, GET)).text, /^HTTP\/1\.1 200 OK/);
  await clock.advance(200);
  await stopped;
  t.equal((await talk(port, GET)).end, "reset", "refused");
});

test("drain: who is in a hurry skips what is left of it", async (t) => {
  const clock = createManualClock();
  const origin = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart"]));
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    limits: { drainDelayMs: 5_000, drainMs: 60_000 },
  });
  const busy = talk(port, GET);
  await eventually(() => origin.connections() === 1, "in flight");
  const stopped = proxy.stop();
  proxy.hurry();
  await stopped;
  t.match(await busy, { end: "reset" });
  t.equal((await talk(port, GET)).end, "reset", "refused");
});

test("drain: at the deadline everything is closed: idle clean, in flight by reset", async (t) => {
  const clock = createManualClock();
  const origin = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart"]));
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    limits: { drainMs: 1_000 },
  });
  const ends: Record<string, string> = {};
  const open = (name: string): ReturnType<typeof connect> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("data", () => {
      ends[name] = "data";
    });
    socket.on("end", () => {
      ends[name] = "fin";
    });
    socket.on("error", () => {
      ends[name] = "reset";
    });
    return socket;
  };
  open("idle");
  open("busy").write(GET);
  await eventually(() => ends.busy === "data", "an answer is in flight");
  const stopped = proxy.stop();
  await clock.advance(1_100);
  await stopped;
  await eventually(() => ends.idle !== undefined && ends.busy !== "data", "both ended");
  t.strictSame(ends, { idle: "fin", busy: "reset" });
});

test("drain: runProxy serves until its signal aborts, then resolves", async (t) => {
  const origin = await recordingOrigin(t);
  const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: { a: [origin.port] } }), { registry });
  const lines: string[] = [];
  const stop = new AbortController();
  const log = createLogger({ write: (line) => lines.push(line) });
  const done = runProxy(bootstrap, { clock: systemClock, log, limits: { drainMs: 100 } }, stop.signal);
  await eventually(() => lines.some((line) => line.includes("listening")), "it listens");
  const port = Number(/port=(\d+)/.exec(lines.join())?.[1]);
  t.match((await talk(port, GET, { until: /\r\n\r\n/ })).text, /^HTTP\/1\.1 200 /);
  stop.abort();
  await done;
  t.equal((await talk(port, GET)).end, "reset");
  t.notOk(lines.some((line) => line.includes("internal error")));
});

test("drain: a port that is taken is an error that says what to do", async (t) => {
  const origin = await rawOrigin(t, () => undefined);
  const json = JSON.parse(JSON.stringify(bootstrapOf({ clusters: { a: [origin.port] } })));
  json.static_resources.listeners[0].address.socket_address.port_value = origin.port;
  const bootstrap = fromJson(BootstrapSchema, json, { registry });
  const signal = new AbortController().signal;
  await t.rejects(runProxy(bootstrap, { clock: systemClock, log: silentLogger }, signal), {
    code: "WEIR_ERR_PROXY_LISTEN",
    message: /EADDRINUSE.*choose another port/,
  });
});
