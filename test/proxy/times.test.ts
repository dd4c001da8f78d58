// How long each thing may take where a configuration says nothing, and where it says something: answers, silence, heads, connections without requests.
// By an injected clock.
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { createManualClock } from "../support/clock.ts";
import {
  eventually,
  type ProxyOptions,
  type Running,
  rawOrigin,
  recordingOrigin,
  startProxy,
} from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HOUR_MS = 3_600_000;
/** Deadlines are looked at in steps. */
const STEP_MS = 300;
const UNTIMED = [{ match: { prefix: "/" }, route: { cluster: "a", timeout: "0s" } }];

interface Client {
  readonly socket: Socket;
  text: string;
  isEnded: boolean;
}

function client(t: Test, { port }: Running): Client {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const found: Client = { socket, text: "", isEnded: false };
  socket.on("data", (chunk: Buffer) => {
    found.text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    found.isEnded = true;
  });
  socket.on("error", () => undefined);
  t.teardown(() => socket.destroy());
  return found;
}

/** A proxy before an origin that never answers. */
async function silent(t: Test, options: Partial<ProxyOptions> = {}) {
  const clock = createManualClock();
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const running = await startProxy(t, { clusters: { a: [origin.port] }, clock, ...options });
  /** A request that has reached the origin. */
  const asking = async (): Promise<Client> => {
    const one = client(t, running);
    const before = running.proxy.stats()[0]?.inFlight ?? 0;
    one.socket.write(GET);
    await eventually(() => (running.proxy.stats()[0]?.inFlight ?? 0) > before, "the request is under way");
    await eventually(() => origin.connections() > 0, "it has reached the origin");
    return one;
  };
  return { clock, running, asking };
}

/** Nothing is said before the time, and this at its end. */
async function expectAt(
  t: Test,
  clock: ReturnType<typeof createManualClock>,
  one: Client,
  ms: number,
  answer: RegExp,
): Promise<void> {
  await clock.advance(ms - STEP_MS);
  t.equal(one.text, "", "not before its time");
  await clock.advance(2 * STEP_MS);
  await eventually(() => answer.test(one.text), `answered as ${answer}`);
}

test("times: an answer has 15 s where a route says nothing", async (t) => {
  const { clock, asking } = await silent(t);
  await expectAt(t, clock, await asking(), 15_000, /^HTTP\/1\.1 504 [\s\S]*upstream request timeout/);
});

test("times: without a route's time, silence ends an exchange after 5 minutes, or when its listener says", async (t) => {
  const usual = await silent(t, { routes: UNTIMED });
  await expectAt(t, usual.clock, await usual.asking(), 300_000, /^HTTP\/1\.1 504 /);
  const short = await silent(t, { routes: UNTIMED, hcm: { stream_idle_timeout: "7s" } });
  await expectAt(t, short.clock, await short.asking(), 7_000, /^HTTP\/1\.1 504 /);
  const none = await silent(t, { routes: UNTIMED, hcm: { stream_idle_timeout: "0s" } });
  const one = await none.asking();
  await none.clock.advance(400_000);
  t.strictSame([one.text, one.isEnded], ["", false], "0 is any");
});

test("times: a head has 10 s in all, or what its listener says", async (t) => {
  const HEAD = "GET / HTTP/1.1\r\nHo";
  for (const [hcm, ms] of [
    [{}, 10_000],
    [{ request_headers_timeout: "3s" }, 3_000],
  ] as const) {
    const { clock, running } = await silent(t, { hcm });
    const one = client(t, running);
    await eventually(() => running.proxy.counts.connections === 1, "accepted");
    for (const byte of HEAD) {
      one.socket.write(byte);
      await clock.advance(50);
    }
    // A byte now and then is no excuse.
    await eventually(async () => {
      one.socket.write("s");
      await clock.advance(100);
      return one.text !== "";
    }, "answered");
    t.match(one.text, /^HTTP\/1\.1 408 [\s\S]*request head took too long/);
    const tookMs = clock.nowMs() - Date.UTC(2026, 0, 1);
    t.ok(tookMs >= ms && tookMs < ms + 2_000, `${ms} ms: after ${tookMs} ms`);
  }
});

test("times: nothing ends early or late when somebody sets the machine's clock, and Date follows it", async (t) => {
  const manual = createManualClock();
  let setMs = 0;
  const clock = { ...manual, nowMs: () => manual.nowMs() + setMs };
  const { running, asking } = await silent(t, { clock });
  const [asked, idle] = [await asking(), client(t, running)];
  await eventually(() => running.proxy.counts.connections === 2, "both are there");
  setMs = 30 * 24 * HOUR_MS;
  await manual.advance(5_000);
  t.strictSame([asked.text, idle.isEnded], ["", false], "a month later nobody is late");
  setMs = -24 * HOUR_MS;
  await manual.advance(10_000 + STEP_MS);
  await eventually(() => asked.text.includes("\r\n\r\n"), "answered in its time");
  t.match(asked.text, /^HTTP\/1\.1 504 [\s\S]*\r\ndate: Wed, 31 Dec 2025 00:00:15 GMT\r\n/);
});

test("times: a connection without requests ends cleanly after an hour, or when its listener says, or never", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  for (const [options, ms] of [
    [undefined, HOUR_MS],
    [{ idle_timeout: "30s" }, 30_000],
    [{ idle_timeout: "0s" }, Number.POSITIVE_INFINITY],
  ] as const) {
    const clock = createManualClock();
    const running = await startProxy(t, {
      clusters: { a: [origin.port] },
      clock,
      ...(options && { hcm: { common_http_protocol_options: options } }),
    });
    const fresh = client(t, running);
    const used = client(t, running);
    await eventually(() => running.proxy.counts.connections === 2, "both are accepted");
    await clock.advance(10_000);
    used.socket.write(GET);
    await eventually(() => used.text.endsWith("ok"), "one is served");
    const untilMs = Math.min(ms, HOUR_MS);
    await clock.advance(untilMs - 10_000 - STEP_MS);
    t.strictSame([fresh.isEnded, used.isEnded], [false, false]);
    await clock.advance(2 * STEP_MS);
    if (ms !== Number.POSITIVE_INFINITY) {
      await eventually(() => fresh.isEnded, "the one without a request has ended");
      t.equal(used.isEnded, false, "the other one's time began with its answer");
      await clock.advance(10_000);
      await eventually(() => used.isEnded, "and is over now");
    } else {
      await clock.advance(HOUR_MS);
      t.strictSame([fresh.isEnded, used.isEnded], [false, false], "0 is any time");
    }
  }
});
