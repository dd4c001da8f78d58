// Hedged requests and their connections: which try may be late, what its connection does next, and what the endpoint counts. Each order of events
// is played by hand, without sockets.
import { test } from "tap";
import { type HedgedOptions, HedgedProxy, type MemoryWire } from "./hedgedproxy.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
const BUSY = "HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\n";
/** More than the second that a try has, and than the wait before the next one. */
const LATE_MS = 1_400;
const ONE = ["192.0.2.2"];

const get = (path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const requestsOn = ({ text }: MemoryWire): number => text.split("GET /").length - 1;

/** A proxy, and a client whose request waits at the first connection. */
function asked(options: Partial<HedgedOptions> = {}): {
  proxy: HedgedProxy;
  client: MemoryWire;
  first: MemoryWire;
} {
  const proxy = new HedgedProxy({ seed: 1, ...options });
  const client = proxy.join();
  proxy.deliver(client, get());
  const first = proxy.upstream(0);
  proxy.stand(first);
  return { proxy, client, first };
}

for (const isHedged of [true, false])
  test(`hedge: a try over a new connection has its own time, not that of the lost one before it; hedged ${isHedged}`, async (t) => {
    const { proxy, client, first } = asked({ addresses: ONE, isHedged });
    proxy.deliver(first, `${OK}warm`);
    client.text = "";
    proxy.deliver(client, get());
    t.equal(requestsOn(first), 2, "on the pooled connection");
    await proxy.advance(600);
    proxy.lose(first);
    await proxy.advance(700);
    t.equal(proxy.upstreams.length, 2, "tried again at once, over a connection that takes its time");
    const second = proxy.upstream(1);
    proxy.stand(second);
    t.equal(requestsOn(second), 1);
    t.equal(proxy.cluster.endpoints[0]?.timeouts, 0, "the endpoint was not late");
    proxy.deliver(second, `${OK}good`);
    t.match(client.text, /good$/);
    t.strictSame(await proxy.leftBehind(), []);
  });

/** Two clients are asked for over a connection each; where only one may be by now, a's is lost, and its next try waits. */
async function waiting(): Promise<{ proxy: HedgedProxy; a: MemoryWire; b: MemoryWire; kept: MemoryWire }> {
  const proxy = new HedgedProxy({ seed: 1, addresses: ONE });
  const [a, b] = [proxy.join(), proxy.join()];
  for (const [index, client] of [a, b].entries()) {
    proxy.deliver(client, get());
    proxy.stand(proxy.upstream(index));
  }
  for (const wire of proxy.upstreams) proxy.deliver(wire, `${OK}warm`);
  for (const wire of [a, b, ...proxy.upstreams]) wire.text = "";
  proxy.cluster.configure({ ...proxy.cluster.options, maxConnections: 1 });
  proxy.deliver(a, get("/a"));
  await proxy.advance(600);
  proxy.deliver(b, get("/b"));
  const [lost, kept] = ["/a", "/b"].map((path) => proxy.upstreams.find(({ text }) => text.includes(path)));
  if (lost === undefined || kept === undefined) throw new Error("both are asked for");
  proxy.lose(lost);
  return { proxy, a, b, kept };
}

test("hedge: a request that waits for a connection is not late, and goes out once", async (t) => {
  const { proxy, a, b, kept } = await waiting();
  t.equal(proxy.cluster.waiting, 1);
  await proxy.advance(800);
  t.equal(proxy.upstreams.length, 2, "nothing began in its place");
  proxy.deliver(kept, `${OK}forB`);
  t.match(b.text, /forB$/);
  t.equal(requestsOn(kept), 2, "then it goes out, once");
  proxy.deliver(kept, `${OK}forA`);
  t.match(a.text, /forA$/);
  t.strictSame(await proxy.leftBehind(), []);
});

test("hedge: when the endpoint goes that a try waits for, that try begins elsewhere, beside no other", async (t) => {
  const { proxy } = await waiting();
  t.equal(proxy.cluster.waiting, 1);
  await proxy.advance(700);
  proxy.offer(["192.0.2.3"]);
  await proxy.advance(100);
  t.equal(proxy.upstreams.length, 3, "one more connection, to the endpoint that there is now");
  t.strictSame(await proxy.leftBehind(), []);
});

test("hedge: a late try that is the last hope has all the time there is", async (t) => {
  const policy = { retry_on: "retriable-status-codes", retriable_status_codes: [503], num_retries: 3 };
  const { proxy, client, first } = asked({ policy });
  await proxy.advance(LATE_MS);
  const second = proxy.upstream(1);
  proxy.stand(second);
  proxy.lose(second);
  t.equal(proxy.cluster.retrying, 0, "a lost connection is nothing that the policy would repeat");
  await proxy.advance(3_000);
  t.equal(proxy.upstreams.length, 2, "and nothing begins in its place");
  proxy.deliver(first, `${OK}late`);
  t.match(client.text, /late$/);
  t.strictSame(await proxy.leftBehind(), []);
});

for (const [what, answer, counts] of [
  ["serves the client", `${OK}late`, { successes: 1, errors: 0, timeouts: 1 }],
  ["answers badly", `${BUSY}late`, { successes: 1, errors: 1, timeouts: 1 }],
  ["is lost", "", { successes: 1, errors: 1, timeouts: 1 }],
  ["never answers", null, { successes: 0, errors: 2, timeouts: 2 }],
] as const)
  test(`hedge: an endpoint counts the end of each try once, where a late one ${what}`, async (t) => {
    const { proxy, client, first } = asked({ addresses: ONE });
    await proxy.advance(LATE_MS);
    const second = proxy.upstream(1);
    proxy.stand(second);
    if (answer === null) await proxy.advance(6_000);
    else if (answer === "") proxy.lose(first);
    else proxy.deliver(first, answer);
    if (client.text === "") proxy.deliver(second, `${OK}good`);
    t.match(client.text, answer === null ? /^HTTP\/1\.1 504 / : /^HTTP\/1\.1 200 /);
    const [endpoint] = proxy.cluster.endpoints;
    t.match(endpoint, { requests: 2, ...counts });
    t.strictSame(await proxy.leftBehind(), []);
  });

test("hedge: a request behind a hedged one goes out over the connection of the try that answered", async (t) => {
  const { proxy, client, first } = asked({ addresses: ONE, cluster: { maxConnections: 1 } });
  proxy.deliver(client, get("/two"));
  await proxy.advance(LATE_MS);
  t.equal(proxy.cluster.waiting, 1, "the next try waits for a connection");
  proxy.deliver(first, `${OK}late`);
  t.equal(proxy.cluster.waiting, 0);
  t.match(first.text, /GET \/two /);
  proxy.deliver(first, `${OK}next`);
  t.match(client.text, /late[\s\S]*next$/);
  t.strictSame(await proxy.leftBehind(), []);
});

test("hedge: the connection of a late try that answered badly serves the next try, which waited for it", async (t) => {
  const { proxy, client, first } = asked({ addresses: ONE, cluster: { maxConnections: 1 } });
  await proxy.advance(LATE_MS);
  t.equal(proxy.cluster.waiting, 1);
  proxy.deliver(first, BUSY);
  proxy.deliver(first, "busy");
  t.equal(requestsOn(first), 2);
  proxy.deliver(first, `${OK}good`);
  t.match(client.text, /good$/);
  t.strictSame(await proxy.leftBehind(), []);
});

test("hedge: when the endpoint goes that the next try waits for, the late one may still answer", async (t) => {
  const { proxy, client, first } = asked({ addresses: ONE, cluster: { maxConnections: 1 } });
  await proxy.advance(LATE_MS);
  t.equal(proxy.cluster.waiting, 1);
  proxy.offer([]);
  await proxy.advance(100);
  t.equal(proxy.cluster.waiting, 0);
  t.equal(client.text, "");
  proxy.deliver(first, `${OK}late`);
  t.match(client.text, /late$/);
  t.strictSame(await proxy.leftBehind(), []);
});
