// Listeners that come, go and move in one change, as control planes that are not weir's may send them.
import { connect } from "node:net";
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { fromJson, ListenerSchema, RouteConfigurationSchema, registry } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { closedPort, eventually, type Json, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** A listener whose routes are fetched by that name. */
const listener = (name: string, port: number, routes: string): Json => ({
  name,
  address: { socket_address: { address: "127.0.0.1", port_value: port } },
  filter_chains: [
    {
      filters: [
        {
          name: "hcm",
          typed_config: {
            "@type":
              "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix: "x",
            rds: { route_config_name: routes, config_source: { ads: {} } },
            http_filters: [],
          },
        },
      ],
    },
  ],
});

/** Routes that answer with their own name. */
const answering = (name: string): Json => ({
  name,
  virtual_hosts: [
    {
      name: "v",
      domains: ["*"],
      routes: [
        { match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: `<${name}>` } } },
      ],
    },
  ],
});

function plane(t: Test) {
  const bugs: string[] = [];
  const log = createLogger({ level: "error", write: (line) => bugs.push(line) });
  const clock = createManualClock();
  const core = new Core({ clock, log, seed: 1 });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  t.teardown(() => {
    configuration.close();
    if (core.counts.internalErrors > 0) throw new Error(bugs.join("\n"));
  });
  const apply = (listeners: readonly Json[], routes: readonly string[]) =>
    configuration.apply({
      listeners: listeners.map((one) => fromJson(ListenerSchema, one, { registry })),
      routes: routes.map((name) => fromJson(RouteConfigurationSchema, answering(name))),
      clusters: [],
      endpoints: [],
      changed: "listeners",
      versions: { listeners: "1", routes: "1", clusters: "1", endpoints: "1" },
    });
  const ask = async (port: number): Promise<string> =>
    /<(\w+)>/.exec((await talk(port, GET, { until: /<\w+>$/ })).text)?.[1] ?? "";
  return { apply, ask, clock, configuration };
}

test("listeners: one that goes leaves its port to one that comes, in the same change and without a gap", async (t) => {
  const { apply, ask, configuration } = plane(t);
  const port = await closedPort();
  await apply([listener("old", port, "one")], ["one"]);
  t.equal(await ask(port), "one");
  let isOver = false;
  const failures: string[] = [];
  const load = (async () => {
    while (!isOver) {
      const answer = await ask(port);
      if (answer !== "one" && answer !== "two") failures.push(answer);
    }
  })();
  const kept = talk(port, `${GET}${GET}`, { cuts: [GET.length], until: /<\w+>[\s\S]*<\w+>$/ });
  await apply([listener("new", port, "two")], ["two"]);
  t.equal(await ask(port), "two");
  t.strictSame(
    configuration.listeners.map(({ name, port: open }) => [name, open]),
    [["new", port]],
  );
  isOver = true;
  await load;
  t.strictSame(failures, []);
  t.match((await kept).text, /<\w+>$/);
});

test("listeners: connections of one that goes take the routes of the one that comes in its place", async (t) => {
  const { apply } = plane(t);
  const port = await closedPort();
  await apply([listener("old", port, "one")], ["one"]);
  const client = connect({ port, host: "127.0.0.1" });
  t.teardown(() => client.destroy());
  let text = "";
  client.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  client.write(GET);
  await eventually(() => text.endsWith("<one>"), "the first answer");
  await apply([listener("new", port, "two")], ["two"]);
  client.write(GET);
  await eventually(() => text.endsWith("<two>"), "the second, on the same connection");
});

test("listeners: two may change places", async (t) => {
  const { apply, ask } = plane(t);
  const [a, b] = [await closedPort(), await closedPort()];
  await apply([listener("x", a, "one"), listener("y", b, "two")], ["one", "two"]);
  t.strictSame([await ask(a), await ask(b)], ["one", "two"]);
  await apply([listener("x", b, "one"), listener("y", a, "two")], ["one", "two"]);
  t.strictSame([await ask(a), await ask(b)], ["two", "one"]);
});

test("listeners: one that moves and gets other routes stays where it is until they are there", async (t) => {
  const { apply, ask, configuration } = plane(t);
  const [a, b] = [await closedPort(), await closedPort()];
  await apply([listener("x", a, "one")], ["one"]);
  await apply([listener("x", b, "two")], ["one"]);
  t.equal(await ask(a), "one");
  await apply([listener("x", b, "two")], ["one", "two"]);
  t.equal(await ask(b), "two");
  t.equal(configuration.listeners[0]?.port, b);
  await eventually(async () => (await talk(a, GET)).end === "reset", "the old port is closed");
});

test("listeners: one whose successor waits for its routes serves on until they are there", async (t) => {
  const { apply, ask, configuration } = plane(t);
  const port = await closedPort();
  const names = (): readonly string[] => configuration.listeners.map(({ name }) => name);
  await apply([listener("old", port, "one")], ["one"]);
  await apply([listener("new", port, "two")], []);
  t.equal(await ask(port), "one");
  t.strictSame([names(), configuration.missing], [["old"], "listener new waits for its routes"]);
  await apply([listener("new", port, "two")], ["two"]);
  t.equal(await ask(port), "two");
  t.strictSame([names(), configuration.missing], [["new"], ""]);
  await apply([listener("newer", port, "three")], []);
  await apply([], []);
  t.strictSame(names(), [], "nobody waits for the port any more");
});

test("listeners: one that goes keeps its port for one that moves there and waits for its routes", async (t) => {
  const { apply, ask, configuration } = plane(t);
  const [a, b] = [await closedPort(), await closedPort()];
  await apply([listener("x", a, "one"), listener("y", b, "two")], ["one", "two"]);
  await apply([listener("y", a, "three")], []);
  t.strictSame([await ask(a), await ask(b)], ["one", "two"]);
  await apply([listener("y", a, "three")], ["three"]);
  t.equal(await ask(a), "three");
  t.strictSame(
    configuration.listeners.map(({ name, port }) => [name, port]),
    [["y", a]],
  );
});

test("listeners: a port that stays with another one is not taken", async (t) => {
  const { apply, ask, clock } = plane(t);
  const port = await closedPort();
  await apply([listener("x", port, "one")], ["one"]);
  const both = [listener("x", port, "one"), listener("y", port, "two")];
  let why: unknown;
  apply(both, ["one", "two"]).catch((error: unknown) => {
    why = error;
  });
  await eventually(async () => {
    await clock.advance(500);
    return why !== undefined;
  }, "it is refused");
  t.match(why, { code: "WEIR_ERR_PROXY_LISTEN" });
  t.equal(await ask(port), "one");
});

test("listeners: half_close comes and goes on a port that stays open", async (t) => {
  const { apply, ask, configuration } = plane(t);
  const port = await closedPort();
  const lets = (fields: Json): Json => ({
    ...Object(listener("one", port, "here")),
    metadata: { filter_metadata: { "weir.dev": fields } },
  });
  const found: unknown[] = [];
  for (const fields of [{}, { half_close: true }, { half_close: false }] satisfies Json[]) {
    await apply([lets(fields)], ["here"]);
    found.push(configuration.listeners[0]?.isHalfCloseAllowed);
    t.equal(await ask(port), "here");
  }
  t.strictSame(found, [false, true, false]);
  await t.rejects(apply([lets({ half_close: 1 })], ["here"]), /half_close is neither true nor false/);
  t.equal(configuration.listeners[0]?.isHalfCloseAllowed, false, "the last good one goes on");
});
