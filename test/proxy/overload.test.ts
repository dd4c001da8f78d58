// Overload: when it begins and ends, by an injected clock and memory, and what clients see of it.
import { test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { memoryUse } from "../../src/lib/memory.ts";
import { DEFAULT_OVERLOAD_LIMITS, Overload } from "../../src/proxy/admit/overload.ts";
import { SWEEP_MS } from "../../src/proxy/deadlines.ts";
import { createManualClock } from "../support/clock.ts";
import { eventually, recordingOrigin, startProxy, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

function bench() {
  const logged: string[] = [];
  const state = { nowMs: 0, heap: 0.1, resident: 0.1 };
  const overload = new Overload({
    log: createLogger({ level: "info", write: (line) => logged.push(line) }),
    monotonicMs: () => state.nowMs,
    memory: () => ({ heap: state.heap, resident: state.resident }),
    limits: DEFAULT_OVERLOAD_LIMITS,
  });
  /** Looks `times` times, each `lateMs` too late. */
  const look = (times: number, lateMs: number): void => {
    for (let time = 0; time < times; time++) {
      state.nowMs += SWEEP_MS + lateMs;
      overload.look();
    }
  };
  return { overload, state, look, logged };
}

test("overload: one stall of the event loop is none; one that stays is, and ends when the loop has been on time for a while", (t) => {
  const { overload, look, logged } = bench();
  look(10, 0);
  look(2, 5_000);
  look(1, 0);
  look(2, 800);
  t.equal(overload.share, 0);
  t.equal(overload.verdict(0), null);
  look(1, 800);
  const first = overload.share;
  t.ok(first > 0 && first < 0.5, `a share of the requests first: ${first}`);
  t.match(overload.verdict(0), { status: 503, reason: /event loop/, retryAfterS: 1 });
  t.equal(overload.verdict(0.99), null);
  look(20, 800);
  t.equal(overload.share, 0.95, "nearly all of them while it stays late");
  look(3, 300);
  t.equal(overload.share, 0.95, "between the two bounds nothing changes");
  look(5, 0);
  t.ok(overload.share < 0.6 && overload.share > 0, "fewer as it gets better");
  look(5, 0);
  t.equal(overload.share, 0);
  t.equal(logged.length, 2);
  t.match(logged[0], /overloaded.*event loop/);
  t.match(logged[1], /not overloaded any more/);
  t.end();
});

test("overload: as memory is used up, more and more requests are turned away, then connections; below a lower bound none", (t) => {
  const { overload, state, look } = bench();
  const at = (heap: number, resident: number): readonly [number, boolean] => {
    Object.assign(state, { heap, resident });
    look(5, 0);
    return [Math.round(overload.share * 100) / 100, overload.refusesConnections];
  };
  t.strictSame(at(0.89, 0.5), [0, false]);
  t.strictSame(at(0.91, 0.5), [0.14, false]);
  t.strictSame(at(0.2, 0.95), [0.71, false]);
  t.strictSame(at(0.98, 0.5), [1, true]);
  t.match(overload.verdict(0.999), { status: 503, reason: /memory/ });
  t.strictSame(at(0.92, 0.5), [0.29, true], "connections stay refused until it is well below");
  t.strictSame(at(0.86, 0.5), [0.1, false]);
  t.strictSame(at(0.8, 0.5), [0, false]);
  t.end();
});

test("overload: new requests get 503, retry-after and a reason, begun ones their answer; it is counted", async (t) => {
  const clock = createManualClock();
  const memory = { heap: 0.1, resident: 0.1 };
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    memory: () => memory,
    hasAdmin: true,
  });
  const begun = talk(port, GET, ANSWERED);
  await eventually(() => answers.length === 1, "a request is in progress");
  memory.heap = 0.965;
  await clock.advance(1_000);
  let shed = "";
  for (let turn = 0; turn < 50 && shed === ""; turn++) {
    const { text } = await talk(port, GET, { until: /progress|up\n$/ });
    if (text.includes("503")) shed = text;
    else answers.at(-1)?.();
  }
  t.match(
    shed,
    /^HTTP\/1\.1 503 [\s\S]*x-weir-reason: overloaded: memory is nearly used up\r\n[\s\S]*retry-after: 1\r\n/,
  );
  answers[0]?.();
  t.match((await begun).text, /^HTTP\/1\.1 200 /);
  memory.resident = 0.99;
  await clock.advance(1_000);
  const refused = await talk(port, GET);
  t.equal(refused.text, "", "no new connections");
  t.ok(proxy.counts.connectionsRefused > 0);
  memory.heap = 0.1;
  memory.resident = 0.1;
  await clock.advance(1_000);
  const after = talk(port, GET, ANSWERED);
  const before = answers.length;
  await eventually(() => answers.length > before, "served again");
  answers.at(-1)?.();
  t.match((await after).text, /^HTTP\/1\.1 200 /);
  const metrics = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  t.match(metrics, /own_answers_total\{status="503",reason="overloaded: memory is nearly used up"\} [1-9]/);
});

test("overload: memory in use is a share of what this process may have", (t) => {
  const { heap, resident } = memoryUse();
  t.ok(heap > 0 && heap < 0.9, `heap ${heap}`);
  t.ok(resident > 0 && resident < 0.9, `resident ${resident}`);
  t.end();
});
