// `weir proxy --workers N`: several processes that are one proxy. Deaths, silence, sums, and what all of them know.
import { readFile, rename, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { type Test, test } from "tap";
import {
  childrenOf,
  type ProxyProcess,
  startProxyProcess,
  temporaryFolder,
  until,
} from "../support/proxyprocess.ts";
import {
  bootstrapOf,
  closedPort,
  converse,
  eventually,
  type Json,
  type ProxyOptions,
  recordingOrigin,
  talk,
} from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

interface Served {
  readonly proxy: ProxyProcess;
  readonly port: number;
}

async function served(
  t: Test,
  ports: readonly number[],
  options: {
    readonly workers?: number;
    readonly clusterFields?: Readonly<Record<string, Json>>;
    readonly hcm?: Readonly<Record<string, Json>>;
    readonly more?: Partial<ProxyOptions>;
  } = {},
): Promise<Served> {
  const { workers = 3, clusterFields = {}, hcm = {}, more = {} } = options;
  const adminPort = await closedPort();
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
  const json = Object.assign({}, bootstrapOf({ clusters: { a: ports }, clusterFields, hcm, ...more }), {
    admin,
  });
  const flags = ["--workers", String(workers), "--drain-delay", "0s"];
  const proxy = await startProxyProcess(t, JSON.stringify(json), adminPort, flags);
  await until(async () => (await proxy.ready()) === "ready\n", "ready");
  // All of them: a port of the system's choice is given back when the only process that listens on it dies, and the others get another one.
  const listening = (): number =>
    proxy
      .log()
      .split("\n")
      .filter((line) => line.includes(" listening ")).length;
  await until(() => listening() >= workers, "all of them listen");
  return { proxy, port: await proxy.listenerPort("main") };
}

/** The sum of all series of a family. */
async function total(proxy: ProxyProcess, family: string): Promise<number> {
  const lines = (await proxy.page("/metrics")).split("\n").filter((line) => line.startsWith(`${family}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

test("workers: several serve one port, and their counts are one sum", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [origin.port]);
  t.equal((await childrenOf(proxy.pid)).length, 3);
  const connections = Array.from({ length: 30 }, () => talk(port, GET, ANSWERED));
  for (const { text } of await Promise.all(connections)) t.match(text, /^HTTP\/1\.1 200 OK/);
  t.equal(await total(proxy, "weir_proxy_requests_total"), 30);
  t.equal(await proxy.metric("weir_proxy_connections_total"), 30);
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
  const stats = JSON.parse(await proxy.page("/stats?format=json"));
  t.match(stats.cells[0], { requests: 30, status_2xx: 30, inFlight: 0 });
  const dump = JSON.parse(await proxy.page("/config_dump"));
  t.match(dump.listeners, [{ name: "main", port }]);
  proxy.child.kill("SIGTERM");
  t.equal(await proxy.ended, 0);
  t.equal((await talk(port, GET)).end, "reset", "the port is free");
});

test("workers: a listener's half_close holds in each of them", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const metadata = { filter_metadata: { "weir.dev": { half_close: true } } };
  const { port } = await served(t, [origin.port], { more: { listenerFields: { metadata } } });
  const clients = Array.from({ length: 12 }, () => talk(port, GET, { isEnded: true, patienceMs: 10_000 }));
  await eventually(() => answers.length === 12, "all arrived");
  for (const answer of answers) answer();
  for (const { text, end } of await Promise.all(clients)) t.match([text, end], [/200 OK[\s\S]*ok$/, "fin"]);
});

test("workers: a client has its version whichever of them it meets", async (t) => {
  const named = async (name: string): Promise<number> =>
    (await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port;
  const clusters = { old: [await named("old")], new: [await named("new")] };
  const route = {
    weighted_clusters: {
      clusters: [
        { name: "new", weight: 3_000 },
        { name: "old", weight: 7_000 },
      ],
      use_hash_policy: true,
    },
    hash_policy: [{ header: { header_name: "x-user" }, terminal: true }],
  };
  const routes = [
    { match: { prefix: "/" }, route, metadata: { filter_metadata: { "weir.dev": { salt: "s" } } } },
  ];
  const { proxy, port } = await served(t, [], { more: { clusters, routes } });
  const versionOf = async (user: number): Promise<string> => {
    const { text } = await talk(port, `GET / HTTP/1.1\r\nHost: a\r\nx-user: u${user}\r\n\r\n`, ANSWERED);
    return /<(\w+)>/.exec(text)?.[1] ?? text;
  };
  const users = Array.from({ length: 40 }, (_, user) => user);
  const first = await Promise.all(users.map(versionOf));
  t.strictSame([...new Set(first)].sort(), ["new", "old"]);
  for (let round = 0; round < 4; round++) t.strictSame(await Promise.all(users.map(versionOf)), first);
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
});

test("workers: together they take as many connections as one listener may have", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [origin.port], { workers: 2, more: { connectionLimit: 4 } });
  const sockets = Array.from({ length: 40 }, () => connect({ port, host: "127.0.0.1" }));
  t.teardown(() => sockets.forEach((socket) => void socket.destroy()));
  let closed = 0;
  for (const socket of sockets) {
    socket.on("error", () => undefined);
    socket.resume();
    socket.once("close", () => {
      closed += 1;
    });
  }
  const taken = async (): Promise<number> => proxy.metric("weir_proxy_connections_total");
  await eventually(() => closed >= 36, "all but four are closed");
  await eventually(async () => (await taken()) === sockets.length - closed, "the others stay");
  t.ok(sockets.length - closed <= 4);
});

test("workers: one alone is no tree", async (t) => {
  const origin = await recordingOrigin(t);
  const { proxy } = await served(t, [origin.port], { workers: 1 });
  t.strictSame(await childrenOf(proxy.pid), []);
});

test("workers: one that is killed under load loses only what it had accepted, is replaced, and no count falls", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [origin.port]);
  const LOOPS = 8;
  let isOver = false;
  let good = 0;
  const failures: string[] = [];
  const load = async (): Promise<void> => {
    while (!isOver) {
      const { text, end } = await talk(port, GET, ANSWERED);
      if (/^HTTP\/1\.1 200 /.test(text)) good += 1;
      else failures.push(`${end} ${text}`);
    }
  };
  const counted: number[] = [];
  const count = async (): Promise<void> => {
    while (!isOver) counted.push(await total(proxy, "weir_proxy_requests_total"));
  };
  const running = [...Array.from({ length: LOOPS }, () => load()), count()];
  const kill = async (): Promise<void> => {
    const before = await childrenOf(proxy.pid);
    const [victim = 0] = before;
    const [failedBefore, goodBefore] = [failures.length, good];
    process.kill(victim, "SIGKILL");
    await until(async () => {
      const now = await childrenOf(proxy.pid);
      return now.length === 3 && !now.includes(victim);
    }, "replaced");
    await until(() => good > goodBefore + 200, "load goes on");
    // Each loop has one connection at a time: more than one failure each would be of connections that others could have taken.
    t.ok(failures.length - failedBefore <= LOOPS, `${failures.length - failedBefore} lost`);
  };
  await until(() => good > 100, "load runs");
  await kill();
  await kill();
  isOver = true;
  await Promise.all(running);
  t.ok(counted.length > 5, `${counted.length} scrapes`);
  t.strictSame(
    counted,
    [...counted].sort((a, b) => a - b),
    "counters never fall",
  );
  const last = await total(proxy, "weir_proxy_requests_total");
  t.ok(last <= good + failures.length, `${last} counted, ${good} answered`);
  t.ok(last > good / 2, `${last} counted, ${good} answered`);
  t.equal(await total(proxy, "weir_proxy_requests_in_flight"), 0);
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
});

test("workers: those that keep dying are replaced ever more slowly, and at last they serve again", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy } = await served(t, [origin.port], { workers: 2 });
  const killed = new Set<number>();
  const untilMs = performance.now() + 4_000;
  await until(async () => {
    for (const pid of await childrenOf(proxy.pid)) {
      if (!killed.has(pid)) process.kill(pid, "SIGKILL");
      killed.add(pid);
    }
    return performance.now() > untilMs;
  }, "four seconds of it");
  // Without a pause there would be one every 20 ms, for that is how often they are killed.
  t.ok(killed.size >= 6 && killed.size <= 30, `${killed.size} were killed`);
  await until(async () => (await proxy.ready()) === "ready\n", "ready again");
  // While none lived nobody held the port, and any free one was asked for.
  const port = Number([...proxy.log().matchAll(/listening.* port=(\d+)/g)].at(-1)?.[1]);
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  t.equal(await total(proxy, "weir_proxy_workers_ended_total"), killed.size);
});

test("workers: when the supervisor is killed they end, and the port is free", async (t) => {
  const origin = await recordingOrigin(t);
  const { proxy, port } = await served(t, [origin.port]);
  const workers = await childrenOf(proxy.pid);
  proxy.child.kill("SIGKILL");
  await proxy.ended;
  await until(() => workers.every((pid) => !isRunning(pid)), "the workers end");
  t.equal((await talk(port, GET)).end, "reset");
});

test("workers: what is in flight finishes before the tree ends", async (t) => {
  let answer: (() => void) | undefined;
  const origin = await recordingOrigin(t, (_seen, response) => {
    answer = () => response.end("done");
  });
  const { proxy, port } = await served(t, [origin.port]);
  const slow = talk(port, GET);
  await until(() => answer !== undefined, "in flight");
  proxy.child.kill("SIGTERM");
  await until(async () => (await proxy.ready()) === "not ready: draining\n", "draining");
  answer?.();
  t.match(await slow, { text: /connection: close\r\n\r\n[\s\S]*done/, end: "fin" });
  t.equal(await proxy.ended, 0);
});

test("workers: all of them drain when their admin port is told to", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [origin.port]);
  const listening = (): number => proxy.log().split(" listening ").length - 1;
  await until(() => listening() === 3, "all of them listen");
  const kept = Array.from({ length: 12 }, () => connect({ port, host: "127.0.0.1" }));
  t.teardown(() => kept.forEach((socket) => void socket.destroy()));
  await until(async () => (await proxy.metric("weir_proxy_connections_total")) === 12, "all are accepted");
  const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/drain_listeners`, { method: "POST" });
  t.equal(await response.text(), "draining\n");
  t.equal(await proxy.ready(), "not ready: draining\n");
  await until(async () => (await talk(port, GET)).end === "reset", "no worker accepts any more");
  const answers = await Promise.all(kept.map((socket) => converse(socket, GET, {})));
  for (const { text, end } of answers) {
    t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n/);
    t.equal(end, "fin");
  }
  const workers = await childrenOf(proxy.pid);
  t.equal(workers.length, 3, "they are there still");
  // One that took another's place would open the port again.
  process.kill(workers[0] ?? 0, "SIGKILL");
  await until(() => proxy.log().includes("no other one takes its place"), "its end is noticed");
  t.equal((await childrenOf(proxy.pid)).length, 2);
  t.equal((await talk(port, GET)).end, "reset");
  t.equal(listening(), 3);
  t.equal(await proxy.ready(), "not ready: draining\n");
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
});

test("workers: endpoints are checked once, and all know the results", async (t) => {
  let isSick = true;
  let checks = 0;
  const origin = await recordingOrigin(t, (seen, response) => {
    if (seen.url === "/health") checks += 1;
    response.statusCode = seen.url === "/health" && isSick ? 503 : 200;
    response.end("ok");
  });
  const healthy = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [origin.port, healthy.port], {
    clusterFields: {
      health_checks: [
        {
          timeout: "1s",
          interval: "0.2s",
          no_traffic_interval: "0.2s",
          unhealthy_threshold: 1,
          healthy_threshold: 1,
          http_health_check: { path: "/health" },
        },
      ],
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
    },
  });
  const traffic = async (): Promise<number> => {
    const before = origin.seen.filter(({ url }) => url === "/").length;
    await Promise.all(Array.from({ length: 40 }, () => talk(port, GET, ANSWERED)));
    return origin.seen.filter(({ url }) => url === "/").length - before;
  };
  await until(() => healthy.seen.length > 0, "the healthy one is checked");
  await until(async () => (await talk(port, GET, ANSWERED)).text.startsWith("HTTP/1.1 200"), "served");
  t.equal(await traffic(), 0, "none to the one that fails");
  const [checksBefore, beganMs] = [checks, performance.now()];
  await until(() => checks >= checksBefore + 5, "five checks");
  const perSecond = (5_000 * 1) / (performance.now() - beganMs);
  t.ok(perSecond < 7, `${perSecond.toFixed(1)} checks a second: one checker`);
  isSick = false;
  await until(async () => (await traffic()) > 5, "it is back in all");
  const [victim = 0] = await childrenOf(proxy.pid);
  process.kill(victim, "SIGKILL");
  await until(async () => {
    const now = await childrenOf(proxy.pid);
    return now.length === 3 && !now.includes(victim) && proxy.log().split("listening worker=0").length > 2;
  }, "replaced");
  const answers = await Promise.all(Array.from({ length: 40 }, () => talk(port, GET, ANSWERED)));
  t.ok(
    answers.every(({ text }) => text.startsWith("HTTP/1.1 200")),
    "the new one has been told who is healthy",
  );
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
});

test("workers: an endpoint that one ejects is out in all", async (t) => {
  const bad = await recordingOrigin(t, (_seen, response) => {
    response.statusCode = 500;
    response.end("bad");
  });
  const good = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [bad.port, good.port], {
    clusterFields: {
      outlier_detection: { consecutive_5xx: 3, base_ejection_time: "60s", max_ejection_percent: 50 },
    },
  });
  await until(async () => {
    await Promise.all(Array.from({ length: 4 }, () => talk(port, GET, ANSWERED)));
    return (await total(proxy, "weir_proxy_ejections_total")) > 0;
  }, "ejected");
  const before = bad.seen.length;
  for (let turn = 0; turn < 60; turn++) await talk(port, GET, ANSWERED);
  t.ok(bad.seen.length - before <= 1, `${bad.seen.length - before} more to it`);
  t.ok((await total(proxy, "weir_proxy_ejections_total")) <= 2, "the others took it over");
});

test("workers: a port that is taken is told in words, and nothing is left running", async (t) => {
  const origin = await recordingOrigin(t);
  const adminPort = await closedPort();
  const json = JSON.parse(JSON.stringify(bootstrapOf({ clusters: { a: [origin.port] } })));
  json.static_resources.listeners[0].address.socket_address.port_value = origin.port;
  const proxy = await startProxyProcess(t, JSON.stringify(json), adminPort, ["--workers", "2"]);
  t.equal(await proxy.ended, 1);
  t.match(
    proxy.log(),
    /weir: listener main cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE.*choose another port/,
  );
});

test("workers: their number is a number, and no more than is sensible", async (t) => {
  for (const number of ["0", "65", "-1", "many", "1.5"]) {
    const proxy = await startProxyProcess(t, "{}", 0, ["--workers", number]);
    t.equal(await proxy.ended, 2, number);
    t.match(proxy.log(), /workers are a number from 1 to 64/);
  }
});

test("workers: each opens the access log anew when the supervisor is told to", async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, "access.log");
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { proxy, port } = await served(t, [origin.port], { hcm: logTo(path) });
  const send = (): Promise<unknown> =>
    Promise.all(Array.from({ length: 30 }, () => talk(port, GET, ANSWERED)));
  const linesOf = async (file: string): Promise<number> =>
    (await readFile(file, "utf8").catch(() => "")).split("\n").length - 1;
  await send();
  await until(async () => (await linesOf(path)) === 30, "thirty lines of all workers in one file");
  await rename(path, `${path}.1`);
  proxy.child.kill("SIGUSR1");
  await until(
    () =>
      stat(path).then(
        ({ size }) => size === 0,
        () => false,
      ),
    "a new file",
  );
  await send();
  await until(async () => (await linesOf(path)) + (await linesOf(`${path}.1`)) === 60, "no line is lost");
  t.ok((await linesOf(path)) >= 20, "the new file is written");
});

function logTo(path: string): Readonly<Record<string, Json>> {
  const type = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
  return { access_log: [{ name: "file", typed_config: { "@type": type, path } }] };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
