// Endpoints and pools: retries, stale connections, balance, bounds, removal.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type Test, test } from "tap";
import { createManualClock } from "../support/clock.ts";
import { closedPort, eventually, rawOrigin, recordingOrigin, scripted, startProxy, talk } from "./support.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

test("upstream: a refused connection is retried once on another endpoint, bodies included", async (t) => {
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, { clusters: { a: [await closedPort(), origin.port] } });
  for (let turn = 0; turn < 6; turn++) {
    const { text } = await talk(port, POST, ANSWERED);
    t.match(text, /^HTTP\/1\.1 200 [\s\S]*hi$/);
  }
  t.equal(origin.seen.length, 6, "each POST arrived once");
  const values = proxy.stats()[0]?.values;
  t.ok((values?.get("retries") ?? 0) >= 2);
  t.equal(values?.get("connect"), values?.get("retries"));
  t.equal(values?.get("success"), 6);
});

test("upstream: when nothing can be connected the answer is 503 and says so", async (t) => {
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [await closedPort(), await closedPort()], b: [] },
    routes: [
      { match: { prefix: "/b" }, route: { cluster: "b" } },
      { match: { prefix: "/c" }, route: { cluster: "c" } },
      { match: { prefix: "/" }, route: { cluster: "a" } },
    ],
  });
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 [\s\S]*upstream connection failed\n$/);
  t.match(
    (await talk(port, GET.replace("/", "/b"), ANSWERED)).text,
    /^HTTP\/1\.1 503 [\s\S]*no healthy upstream\n$/,
  );
  t.match(
    (await talk(port, GET.replace("/", "/c"), ANSWERED)).text,
    /^HTTP\/1\.1 503 [\s\S]*no such cluster\n$/,
  );
  const byCluster = new Map(proxy.stats().map(({ cluster, values }) => [cluster, values]));
  t.equal(byCluster.get("a")?.get("connect"), 2, "two attempts");
  t.equal(byCluster.get("a")?.get("error"), 1);
  t.equal(byCluster.get("a")?.get("status_5xx"), 1);
  t.equal(byCluster.get("b")?.get("unhealthy"), 1);
});

test("upstream: connections are kept and used again", async (t) => {
  const origin = await rawOrigin(t, scripted([OK]));
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  for (let turn = 0; turn < 5; turn++) await talk(port, GET, ANSWERED);
  t.equal(origin.connections(), 1);
});

test("upstream: of several pooled connections the one that was used last serves, and the others age", async (t) => {
  const clock = createManualClock();
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, clock });
  const three = [1, 2, 3].map(() => talk(port, GET, ANSWERED));
  await eventually(() => answers.length === 3, "three are under way at once");
  for (const [index, answer] of answers.splice(0).entries()) {
    answer();
    await eventually(
      async () => (await Promise.race([three[index], Promise.resolve(null)])) !== null,
      "answered in turn",
    );
  }
  const newest = origin.seen[2]?.peerPort;
  for (let turn = 0; turn < 5; turn++) {
    const asked = talk(port, GET, ANSWERED);
    await eventually(() => answers.length === 1, "asked");
    answers.splice(0).forEach((answer) => void answer());
    await asked;
    await clock.advance(1_000);
  }
  t.strictSame(
    origin.seen.slice(3).map(({ peerPort }) => peerPort),
    [newest, newest, newest, newest, newest],
  );
  // The two others have been unused for more than their 4 s: two at once need one that is new.
  const both = [1, 2].map(() => talk(port, GET, ANSWERED));
  await eventually(() => answers.length === 2, "two are under way");
  for (const answer of answers.splice(0)) answer();
  await Promise.all(both);
  const before = new Set(origin.seen.slice(0, 8).map(({ peerPort }) => peerPort));
  t.equal(origin.seen.slice(8).filter(({ peerPort }) => !before.has(peerPort)).length, 1);
});

test("upstream: a GET that meets a stale connection is retried, and the client sees nothing of it", async (t) => {
  const requests: string[] = [];
  const origin = await rawOrigin(t, closingOnSecond(requests));
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] } });
  await talk(port, GET, ANSWERED);
  const second = await talk(port, GET.replace("/", "/again"), ANSWERED);
  t.match(second.text, /^HTTP\/1\.1 200 /);
  t.strictSame(requests, ["GET /", "GET /again", "GET /again"]);
  t.equal(proxy.stats()[0]?.values.get("retries"), 1);
});

test("upstream: a POST that meets a stale connection is never sent twice", async (t) => {
  const requests: string[] = [];
  const origin = await rawOrigin(t, closingOnSecond(requests));
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] } });
  await talk(port, GET, ANSWERED);
  const second = await talk(port, POST, ANSWERED);
  t.match(second.text, /^HTTP\/1\.1 502 [\s\S]*closed the connection before it answered\n$/);
  t.strictSame(requests, ["GET /", "POST /"]);
  t.equal(proxy.stats()[0]?.values.get("reset"), 1);
});

test("upstream: a POST that finds its pooled connection reset, and none of it sent, is sent on another one", async (t) => {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    socket.on("data", (chunk: Buffer) => {
      requests.push(chunk.toString().slice(0, 6));
      socket.write(OK);
    });
  });
  const policy = { retry_on: "retriable-4xx" };
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    routes: [
      { match: { prefix: "/kept" }, route: { cluster: "a", retry_policy: policy } },
      { match: { prefix: "/" }, route: { cluster: "a" } },
    ],
  });
  const client = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(client, "connect");
  // In one turn: the client's request is there first, and when the proxy writes, its connection is gone already.
  const race = async (request: string): Promise<string> => {
    await talk(port, GET, ANSWERED);
    const answered = once(client, "data");
    client.write(request);
    sockets.at(-1)?.resetAndDestroy();
    return String((await answered)[0]);
  };
  t.match(await race("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), /^HTTP\/1\.1 200 /);
  t.match(await race(POST.replace("/", "/kept")), /^HTTP\/1\.1 200 /, "with a body, where a policy keeps it");
  t.strictSame(requests, ["GET / ", "POST /", "GET / ", "POST /"]);
  t.equal(
    proxy.stats().reduce((sum, { values }) => sum + (values.get("retries") ?? 0), 0),
    2,
  );
  client.destroy();
});

test("upstream: a pooled connection is closed before the time that its upstream names", async (t) => {
  const clock = createManualClock();
  const closed: string[] = [];
  const kept =
    (line: string): ((socket: Socket) => void) =>
    (socket) => {
      socket.on("end", () => closed.push(line));
      socket.on("data", () => socket.write(`HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 2\r\n\r\nok`));
    };
  const lines = [
    "Keep-Alive: timeout=60, max=100",
    "keep-alive: max=5,timeout=2",
    "Keep-Alive: timeout=x",
    "X: y",
  ];
  const origins = await Promise.all(lines.map((line) => rawOrigin(t, kept(line))));
  const { port } = await startProxy(t, { clusters: { a: origins.map((origin) => origin.port) }, clock });
  for (const _line of lines) await talk(port, GET, ANSWERED);
  const after = async (ms: number, count: number): Promise<string[]> => {
    await clock.advance(ms);
    if (count > 0) await eventually(() => closed.length === count, `${count} are closed`);
    return closed.splice(0).sort();
  };
  t.strictSame(await after(900, 0), []);
  t.strictSame(await after(400, 1), [lines[1]]);
  t.strictSame(await after(2_500, 0), []);
  t.strictSame(await after(500, 2), [lines[2], lines[3]]);
  t.strictSame(await after(54_500, 0), []);
  t.strictSame(await after(600, 1), [lines[0]]);
  const never = await rawOrigin(t, kept("Keep-Alive: timeout=0"));
  const second = await startProxy(t, { clusters: { a: [never.port] } });
  await talk(second.port, GET, ANSWERED);
  await talk(second.port, GET, ANSWERED);
  t.equal(never.connections(), 2, "0 seconds are none");
});

test("upstream: a connection that closes while pooled is not used", async (t) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    scripted([OK])(socket);
  });
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] }, hasAdmin: true });
  await talk(port, GET, ANSWERED);
  sockets[0]?.end();
  await eventually(() => sockets[0]?.destroyed ?? false, "the proxy closed its side");
  const { text } = await talk(port, POST, ANSWERED);
  t.match(text, /^HTTP\/1\.1 200 /);
  t.equal(proxy.stats()[0]?.values.get("retries"), undefined);
});

test("upstream: bytes that nobody asked for end a pooled connection", async (t) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    scripted([OK])(socket);
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  await talk(port, GET, ANSWERED);
  sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
  await eventually(() => sockets[0]?.readableEnded ?? false, "the proxy closed the connection");
  t.match((await talk(port, GET, ANSWERED)).text, /ok$/);
  t.equal(origin.connections(), 2);
});

test("upstream: an unused connection is closed after its time", async (t) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    scripted([OK])(socket);
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { poolIdleMs: 50 } });
  await talk(port, GET, ANSWERED);
  await eventually(() => sockets[0]?.readableEnded ?? false, "the proxy closed the connection");
});

test("upstream: round robin gives every endpoint its share", async (t) => {
  const origins = await Promise.all([1, 2, 3].map(() => recordingOrigin(t)));
  const { port } = await startProxy(t, { clusters: { a: origins.map((origin) => origin.port) } });
  const input = GET.repeat(29) + GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
  const { text } = await talk(port, input);
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 30);
  t.strictSame(
    origins.map(({ seen }) => seen.length),
    [10, 10, 10],
  );
});

test("upstream: an upstream that resets before it answered gives 502", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 502 /);
});

test("upstream: a connect timeout is a failure of its own, and tried on another endpoint", async (t) => {
  const clock = createManualClock();
  const deaf = await deafPort(t);
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [deaf], b: [deaf, origin.port] },
    clock,
    routes: [
      { match: { prefix: "/b" }, route: { cluster: "b" } },
      { match: { prefix: "/" }, route: { cluster: "a" } },
    ],
  });
  const alone = talk(port, GET, ANSWERED);
  const retried = [
    talk(port, GET.replace("/", "/b"), ANSWERED),
    talk(port, GET.replace("/", "/b"), ANSWERED),
  ];
  await eventually(
    () => proxy.stats().reduce((sum, { inFlight }) => sum + inFlight, 0) >= 2,
    "requests wait",
  );
  await clock.advance(1_500);
  t.match((await alone).text, /^HTTP\/1\.1 503 [\s\S]*upstream connect timeout\n$/);
  for (const conversation of retried) t.match((await conversation).text, /^HTTP\/1\.1 200 /);
  const byCluster = new Map(proxy.stats().map(({ cluster, values }) => [cluster, values]));
  t.equal(byCluster.get("a")?.get("timeout"), 1);
  t.equal(byCluster.get("b")?.get("timeout"), 1);
  t.equal(byCluster.get("b")?.get("retries"), 1);
});

test("upstream: of an endpoint's several addresses the next is tried when one is refused or silent", async (t) => {
  // A server on 127.0.0.2 alone: the same port of 127.0.0.1 is refused, and in the second case it is deaf.
  const deaf = await deafPort(t);
  const ports = [await closedPort(), deaf];
  const body = Array.from({ length: 40_000 }, (_, i) => `${i} `).join("");
  const long = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const servers = await Promise.all(
    ports.map(async (port) => {
      const server = createServer(scripted([long])).listen(port, "127.0.0.2");
      await once(server, "listening");
      t.teardown(() => server.close());
      return server;
    }),
  );
  t.equal(servers.length, 2);
  const address = (host: string, port: number) => ({ socket_address: { address: host, port_value: port } });
  for (const port of ports) {
    const load_assignment = {
      cluster_name: "a",
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: {
                address: address("127.0.0.1", port),
                additional_addresses: [{ address: address("127.0.0.2", port) }],
              },
            },
          ],
        },
      ],
    };
    const { port: proxyPort, proxy } = await startProxy(t, {
      clusters: { a: [] },
      clusterFields: { load_assignment },
    });
    for (let turn = 0; turn < 3; turn++)
      t.equal((await talk(proxyPort, GET, { until: /39999 $/ })).text.endsWith(`\r\n\r\n${body}`), true);
    const values = proxy.stats()[0]?.values;
    t.strictSame(
      [values?.get("success"), values?.get("retries"), values?.get("connect")],
      [3, undefined, undefined],
    );
  }
});

/** A port that answers no connection attempt: its process is stopped and its queue is full. */
async function deafPort(t: Test): Promise<number> {
  const script = `require("net").createServer().listen({port:0,host:"127.0.0.1",backlog:1},function(){console.log(this.address().port)})`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  const [line] = await once(child.stdout, "data");
  const port = Number(String(line));
  child.kill("SIGSTOP");
  const fillers = [1, 2, 3, 4].map(() => connect(port, "127.0.0.1"));
  t.teardown(() => {
    for (const filler of fillers) filler.destroy();
  });
  for (const filler of fillers) filler.on("error", () => undefined);
  await once(fillers[0] ?? child, "connect");
  return port;
}

/** Answers the first request of the first connection, and closes on the second; later connections answer all. */
function closingOnSecond(requests: string[]): (socket: Socket, index: number) => void {
  return (socket, index) => {
    let count = 0;
    socket.on("data", (chunk: Buffer) => {
      const line = /^(\S+ \S+) HTTP/.exec(chunk.toString("latin1"))?.[1];
      if (line === undefined) return;
      requests.push(line);
      count += 1;
      if (index === 0 && count === 2) socket.destroy();
      else socket.write(OK);
    });
  };
}
