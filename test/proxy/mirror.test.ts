// Mirrors: copies that are marked, shared out by fraction, bounded, and that never touch the request they were copied from.
import type { Socket } from "node:net";
import { type Test, test } from "tap";
import { composeShadow } from "../../src/proxy/forward/mirror.ts";
import { ByteStore } from "../../src/proxy/wire/bytestore.ts";
import { createManualClock } from "../support/clock.ts";
import {
  closedPort,
  eventually,
  type Json,
  type Origin,
  type Running,
  rawOrigin,
  recordingOrigin,
  startProxy,
  talk,
} from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const GET = "GET /a?b HTTP/1.1\r\nHost: shop.test:80\r\n\r\n";
const post = (body: string): string =>
  `POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const mirrored = (...policies: Json[]): Json => ({
  match: { prefix: "/" },
  route: { cluster: "main", request_mirror_policies: policies },
});
const million = (numerator: number): Json => ({
  default_value: { numerator, denominator: "MILLION" },
});

interface Pair extends Running {
  readonly main: Origin;
}

/** A proxy whose requests go to `main` and, as copies, to a port. */
async function withMirror(
  t: Test,
  mirrorPort: number,
  more: Partial<Parameters<typeof startProxy>[1]> = {},
): Promise<Pair> {
  const main = await recordingOrigin(t, (seen, response) => response.end(`main ${seen.body.length}`));
  const clusters = { main: [main.port], copy: [mirrorPort] };
  return { main, ...(await startProxy(t, { clusters, routes: [mirrored({ cluster: "copy" })], ...more })) };
}

const copies = ({ proxy }: Running, name: string): number =>
  proxy
    .stats()
    .find(({ cluster }) => cluster === "copy")
    ?.values.get(name) ?? 0;

test("mirror: a copy goes out marked and with a host of its own; the client gets the primary's answer", async (t) => {
  const copy = await recordingOrigin(t, (_seen, response) => response.writeHead(500).end("never seen"));
  const { port, main, proxy } = await withMirror(t, copy.port);
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 [\s\S]*main 0$/);
  t.match((await talk(port, post("hello"), ANSWERED)).text, /main 5$/);
  await eventually(() => copy.seen.length === 2, "both copies arrive");
  const [get, posted] = copy.seen;
  t.match(get, {
    method: "GET",
    url: "/a?b",
    headers: { host: "shop.test-shadow:80", "x-weir-shadow": "1" },
  });
  t.match(posted, { method: "POST", body: "hello", headers: { host: "shop.test-shadow" } });
  t.equal(main.seen[0]?.headers["x-weir-shadow"], undefined);
  const byCluster = new Map(proxy.stats().map(({ cluster, values }) => [cluster, values]));
  t.match(
    byCluster.get("main"),
    new Map([
      ["requests", 2],
      ["success", 2],
    ]),
  );
  await eventually(
    () => byCluster.get("copy")?.get("error") === 2 || copies({ proxy, port }, "error") === 2,
    "counted apart",
  );
});

test("mirror: the host suffix can be left off, and several mirrors each get a copy", async (t) => {
  const [one, two] = [await recordingOrigin(t), await recordingOrigin(t)];
  const main = await recordingOrigin(t);
  const { port } = await startProxy(t, {
    clusters: { main: [main.port], one: [one.port], two: [two.port] },
    routes: [mirrored({ cluster: "one", disable_shadow_host_suffix_append: true }, { cluster: "two" })],
  });
  await talk(port, post("x"), ANSWERED);
  await eventually(() => one.seen.length + two.seen.length === 2, "both copies arrive");
  t.equal(one.seen[0]?.headers.host, "shop.test");
  t.equal(two.seen[0]?.headers.host, "shop.test-shadow");
});

test("mirror: of the lists of route, host and route configuration the innermost that is not empty counts", async (t) => {
  const names = ["main", "outer", "host", "route"] as const;
  const origins = await Promise.all(names.map(() => recordingOrigin(t)));
  const clusters = Object.fromEntries(names.map((name, index) => [name, [origins[index]?.port ?? 0]]));
  const plain: Json = { match: { prefix: "/" }, route: { cluster: "main" } };
  const own = { ...Object(mirrored({ cluster: "route" })), match: { prefix: "/own" } };
  const { port } = await startProxy(t, {
    clusters,
    hcm: {
      route_config: {
        request_mirror_policies: [{ cluster: "outer" }],
        virtual_hosts: [
          {
            name: "a",
            domains: ["a"],
            request_mirror_policies: [{ cluster: "host" }],
            routes: [own, plain],
          },
          { name: "b", domains: ["b"], routes: [plain] },
        ],
      },
    },
  });
  for (const [target, host, want] of [
    ["/own", "a", "route"],
    ["/", "a", "host"],
    ["/", "b", "outer"],
  ] as const) {
    for (const { seen } of origins) seen.length = 0;
    await talk(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, { until: /\r\n\r\n/ });
    const copied = origins[names.indexOf(want)];
    await eventually(() => copied?.seen.length === 1, `copied to ${want}`);
    t.equal(
      origins.reduce((sum, { seen }) => sum + seen.length, 0),
      2,
      "one request and one copy",
    );
  }
});

test("mirror: a fraction copies its share, none and all are exact", async (t) => {
  const ports = [await recordingOrigin(t), await recordingOrigin(t), await recordingOrigin(t)] as const;
  const main = await recordingOrigin(t);
  const { port } = await startProxy(t, {
    clusters: { main: [main.port], none: [ports[0].port], some: [ports[1].port], all: [ports[2].port] },
    routes: [
      mirrored(
        { cluster: "none", runtime_fraction: million(0) },
        { cluster: "some", runtime_fraction: million(250_000) },
        { cluster: "all", runtime_fraction: { default_value: { numerator: 100 } } },
      ),
    ],
  });
  const count = 800;
  const last = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
  const { text } = await talk(port, GET.repeat(count - 1) + last, { patienceMs: 60_000 });
  t.equal(text.split("HTTP/1.1 200").length - 1, count);
  await eventually(() => ports[2].seen.length === count, "all are copied");
  t.equal(ports[0].seen.length, 0);
  const some = ports[1].seen.length;
  // Four standard deviations of 800 tries at a quarter.
  t.ok(Math.abs(some - 200) < 49, `${some} of about 200`);
});

test("mirror: one that refuses, resets, answers nonsense or hangs changes nothing for the client", async (t) => {
  const refusing = await closedPort();
  const resetting = await rawOrigin(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  const babbling = await rawOrigin(t, (socket) =>
    socket.once("data", () => socket.write("nonsense\r\n\r\n")),
  );
  for (const [copyPort, counter] of [
    [refusing, "connect"],
    [resetting.port, "reset"],
    [babbling.port, "protocol"],
  ] as const) {
    const pair = await withMirror(t, copyPort);
    t.match((await talk(pair.port, post("hello"), ANSWERED)).text, /^HTTP\/1\.1 200 [\s\S]*main 5$/, counter);
    await eventually(() => copies(pair, counter) === 1, `the copy counts under ${counter}`);
    t.equal(copies(pair, "error"), 1);
    t.equal(copies(pair, "retries"), 0);
  }
});

test("mirror: one that refuses gets no further copies for a while, longer each time", async (t) => {
  const clock = createManualClock();
  const copyPort = await closedPort();
  const pair = await withMirror(t, copyPort, { clock });
  const ask = async (count: number): Promise<void> => {
    for (let sent = 0; sent < count; sent += 1)
      t.match((await talk(pair.port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  };
  const seen = (): (number | undefined)[] => ["connect", "unhealthy"].map((name) => copies(pair, name));
  await ask(1);
  await eventually(() => copies(pair, "connect") === 1, "the first is tried");
  await ask(3);
  t.strictSame(seen(), [1, 3]);
  await clock.advance(200);
  await ask(1);
  await eventually(() => copies(pair, "connect") === 2, "tried again after the pause");
  await clock.advance(100);
  await ask(2);
  t.strictSame(seen(), [2, 5], "the second pause is longer");
});

test("mirror: one that hangs is given up after the route's time", async (t) => {
  const clock = createManualClock();
  let arrived = 0;
  const hanging = await rawOrigin(t, (socket) => void socket.on("data", () => (arrived += 1)));
  const pair = await withMirror(t, hanging.port, {
    clock,
    routes: [
      {
        match: { prefix: "/" },
        route: { cluster: "main", timeout: "2s", request_mirror_policies: [{ cluster: "copy" }] },
      },
    ],
  });
  t.match((await talk(pair.port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  await eventually(() => arrived === 1, "the copy arrives");
  t.equal(copies(pair, "timeout"), 0);
  await clock.advance(2_300);
  t.equal(copies(pair, "timeout"), 1);
});

test("mirror: a body that the mirror does not take is given up at the bound; the primary gets all of it", async (t) => {
  const stuck: Socket[] = [];
  const hanging = await rawOrigin(t, (socket) => {
    socket.pause();
    stuck.push(socket);
  });
  const pair = await withMirror(t, hanging.port);
  const body = "b".repeat(24 * 1024 * 1024);
  const { text } = await talk(pair.port, post(body), ANSWERED);
  t.match(text, new RegExp(`main ${body.length}$`));
  t.equal(copies(pair, "behind"), 1);
  t.equal(copies(pair, "error"), 1);
});

test("mirror: a request that its client gives up half-way never looks whole to the mirror", async (t) => {
  const copy = await recordingOrigin(t);
  const pair = await withMirror(t, copy.port);
  const { end } = await talk(pair.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", {
    isEnded: true,
  });
  t.equal(end, "reset");
  await eventually(() => copies(pair, "aborted") === 1, "the copy is aborted");
  t.equal(copy.seen.length, 0);
});

test("mirror: nothing is copied when the primary has nowhere to go", async (t) => {
  const copy = await recordingOrigin(t);
  const pair = await startProxy(t, {
    clusters: { main: [], copy: [copy.port] },
    routes: [mirrored({ cluster: "copy" })],
  });
  t.match((await talk(pair.port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 /);
  t.equal(copies(pair, "requests"), 0);
});

test("mirror: the head of a copy differs in the mark and the host's name alone", (t) => {
  const shadow = (head: string, hasSuffix = true): string => {
    const [from, out] = [new ByteStore(), new ByteStore()];
    from.text(Buffer.from(head.replaceAll("\n", "\r\n"), "latin1"));
    composeShadow(out, from, hasSuffix);
    return out.bytes.toString("latin1", out.start, out.end).replaceAll("\r\n", "\n");
  };
  const mark = "x-weir-shadow: 1\n\n";
  t.equal(
    shadow("GET / HTTP/1.1\na: b\nHOST: x\nc: d\n\n"),
    `GET / HTTP/1.1\na: b\nHOST: x-shadow\nc: d\n${mark}`,
  );
  t.equal(shadow("GET / HTTP/1.1\nhost: x:8080\n\n"), `GET / HTTP/1.1\nhost: x-shadow:8080\n${mark}`);
  t.equal(shadow("GET / HTTP/1.1\nhost:x  \n\n"), `GET / HTTP/1.1\nhost:x-shadow  \n${mark}`);
  t.equal(shadow("GET / HTTP/1.1\nhost: [::1]:80\n\n"), `GET / HTTP/1.1\nhost: [::1]:80\n${mark}`);
  t.equal(shadow("GET / HTTP/1.1\nhost: \nx-host: y\n\n"), `GET / HTTP/1.1\nhost: \nx-host: y\n${mark}`);
  t.equal(shadow("GET / HTTP/1.1\nhost: x\n\n", false), `GET / HTTP/1.1\nhost: x\n${mark}`);
  t.end();
});
