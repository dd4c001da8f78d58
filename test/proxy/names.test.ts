// Clusters of type STRICT_DNS: which endpoints their host names lead to, how long, and what failures of lookups change (nothing).
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { ALONE } from "../../src/proxy/seat.ts";
import {
  BootstrapSchema,
  type Cluster,
  ClusterSchema,
  fromJson,
  type Listener,
  registry,
} from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { bootstrapOf, type Json } from "./support.ts";

/** What a lookup finds, or the reason why it fails. */
type Answer = readonly string[] | Error;
const FAILED = new Error("the server is broken");

/** An endpoint by name; port 80. */
const host = (address: string, more: Readonly<Record<string, Json>> = {}): Json => ({
  endpoint: { address: { socket_address: { address, port_value: 80 } } },
  ...more,
});

function named(hosts: readonly Json[], more: Readonly<Record<string, Json>> = {}): Cluster {
  return fromJson(ClusterSchema, {
    name: "c",
    type: "STRICT_DNS",
    load_assignment: { cluster_name: "c", endpoints: [{ lb_endpoints: [...hosts] }] },
    ...more,
  });
}

/** A proxy without sockets. What has no answer in `answers` is answered by `late`, or never. */
function world(t: Test, isChecking = true) {
  const clock = createManualClock();
  const asked: string[] = [];
  const said: string[] = [];
  const answers: Record<string, Answer | undefined> = {};
  const waiting: { readonly name: string; readonly end: (answer: readonly string[]) => void }[] = [];
  const renewed: unknown[] = [];
  const core = new Core({
    clock,
    log: createLogger({ format: "json", write: (line) => said.push(String(JSON.parse(line).message)) }),
    seed: 1,
    seat: { ...ALONE, isChecking, onRenewed: (cluster, names) => renewed.push({ cluster, names }) },
    lookUp: async (name, version) => {
      asked.push(`${name}/${version}`);
      const answer = answers[name];
      if (answer instanceof Error) throw answer;
      return answer ?? new Promise((end) => waiting.push({ name, end }));
    },
  });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  t.teardown(() => configuration.close());
  const apply = (clusters: readonly Cluster[], listeners: readonly Listener[] = []): Promise<void> =>
    configuration.apply({
      listeners,
      routes: [],
      clusters,
      endpoints: [],
      changed: "clusters",
      versions: { listeners: "1", routes: "1", clusters: "1", endpoints: "1" },
    });
  const endpoints = (): readonly string[] =>
    (core.clusters.get("c")?.endpoints ?? []).map(({ address, port }) => `${address} ${port}`);
  const late = (answer: readonly string[]): void => waiting.splice(0).forEach(({ end }) => void end(answer));
  const failures = (): number =>
    core.tallies.all().find(({ family }) => family.name === "weir_proxy_names_failed_total")?.value ?? 0;
  return {
    clock,
    asked,
    said,
    answers,
    waiting,
    late,
    core,
    configuration,
    apply,
    endpoints,
    renewed,
    failures,
  };
}

test("names: every address that a name has is an endpoint, with what its entry says", async (t) => {
  const { apply, answers, asked, core, configuration, endpoints } = world(t);
  answers["a.test"] = ["192.0.2.2", "192.0.2.1", "192.0.2.2"];
  answers["b.test"] = ["192.0.2.1", "192.0.2.3"];
  await apply([
    named([
      host("a.test", { load_balancing_weight: 3 }),
      host("b.test", { health_status: "UNHEALTHY" }),
      host("192.0.2.9"),
      host("2001:db8::9"),
    ]),
  ]);
  t.strictSame(endpoints(), [
    "192.0.2.1 80",
    "192.0.2.2 80",
    "192.0.2.3 80",
    "192.0.2.9 80",
    "2001:db8::9 80",
  ]);
  t.strictSame(asked, ["a.test/0", "b.test/0"], "addresses are not looked up");
  const of = (address: string) => core.clusters.get("c")?.endpoints.find((one) => one.address === address);
  t.equal(of("192.0.2.1")?.weight, 3, "of two names that lead to it the first has a say");
  t.equal(of("192.0.2.3")?.isUsable, false);
  t.equal(configuration.missing, "");
});

test("names: each has the priority of its group, also when an address goes over to another name", async (t) => {
  const { apply, answers, clock, core } = world(t);
  const cluster = () => core.clusters.get("c");
  const levels = () => cluster()?.endpoints.map(({ address, priority }) => `${address} ${priority}`);
  const loads = () => cluster()?.levels.map(({ loadPercent }) => loadPercent);
  const picked = () => new Set(Array.from({ length: 20 }, () => cluster()?.pick()?.address));
  answers["a.test"] = ["192.0.2.1"];
  answers["b.test"] = ["192.0.2.2", "192.0.2.1"];
  const endpoints = [
    { priority: 0, lb_endpoints: [host("a.test")] },
    { priority: 1, lb_endpoints: [host("b.test")] },
  ];
  await apply([named([], { load_assignment: { cluster_name: "c", endpoints } })]);
  t.strictSame(levels(), ["192.0.2.1 0", "192.0.2.2 1"], "what two groups lead to belongs to the first");
  t.strictSame(loads(), [100, 0]);
  t.strictSame(picked(), new Set(["192.0.2.1"]));
  const before = new Set(cluster()?.endpoints);
  answers["a.test"] = ["192.0.2.2"];
  await clock.advance(5_000);
  t.strictSame(levels(), ["192.0.2.2 0", "192.0.2.1 1"]);
  t.strictSame(new Set(cluster()?.endpoints), before, "they change their level, and live on");
  t.strictSame(picked(), new Set(["192.0.2.2"]));
  answers["a.test"] = ["192.0.2.3"];
  answers["b.test"] = ["192.0.2.4"];
  await clock.advance(5_000);
  t.strictSame(levels(), ["192.0.2.3 0", "192.0.2.4 1"]);
  t.strictSame(picked(), new Set(["192.0.2.3"]));
});

test("names: a new answer adds and removes endpoints, and what stays stays the same", async (t) => {
  const { apply, answers, clock, core, endpoints, asked } = world(t);
  answers["a.test"] = ["192.0.2.1", "192.0.2.2"];
  await apply([named([host("a.test")])]);
  const [first, second] = core.clusters.get("c")?.endpoints ?? [];
  answers["a.test"] = ["192.0.2.3", "192.0.2.2"];
  await clock.advance(4_999);
  t.equal(asked.length, 1);
  await clock.advance(1);
  t.strictSame(endpoints(), ["192.0.2.2 80", "192.0.2.3 80"]);
  t.equal(core.clusters.get("c")?.endpoints[0], second);
  t.equal(first?.isRemoved, true, "it drains as one that the control plane took away");
  t.equal(second?.isRemoved, false);
  const before = core.clusters.get("c")?.endpoints;
  answers["a.test"] = ["192.0.2.2", "192.0.2.3"];
  await clock.advance(5_000);
  t.equal(asked.length, 3);
  t.equal(core.clusters.get("c")?.endpoints, before, "another order is no change");
});

test("names: a lookup that fails changes nothing, and is logged and counted once until one works", async (t) => {
  const { apply, answers, clock, endpoints, said, configuration, failures } = world(t);
  answers["a.test"] = ["192.0.2.1"];
  await apply([named([host("a.test")], { dns_refresh_rate: "1s" })]);
  answers["a.test"] = FAILED;
  await clock.advance(10_000);
  answers["a.test"] = [];
  await clock.advance(10_000);
  t.strictSame(endpoints(), ["192.0.2.1 80"]);
  t.strictSame(said, ["name of an upstream cannot be looked up"]);
  t.equal(failures(), 1);
  const trouble = { host: "a.test", addresses: ["192.0.2.1"], trouble: "it has no address" };
  t.strictSame(configuration.namesIn("c"), [trouble], "the newest reason is shown");
  await apply([named([host("a.test")], { dns_refresh_rate: "2s" })]);
  await clock.advance(10_000);
  t.equal(failures(), 1, "also when its cluster changes");
  answers["a.test"] = ["192.0.2.2"];
  await clock.advance(2_000);
  t.strictSame(endpoints(), ["192.0.2.2 80"]);
  t.strictSame(said.slice(1), ["name of an upstream is known again"]);
  answers["a.test"] = FAILED;
  await clock.advance(2_000);
  t.equal(failures(), 2);
});

test("names: dns_lookup_family says what is asked for, and which of the answers count", async (t) => {
  const both = ["2001:db8::1", "192.0.2.1"];
  for (const [family, found, version, want] of [
    ["AUTO", both, 0, ["2001:db8::1 80"]],
    ["AUTO", ["192.0.2.1"], 0, ["192.0.2.1 80"]],
    ["V4_PREFERRED", both, 0, ["192.0.2.1 80"]],
    ["V4_PREFERRED", ["2001:db8::1"], 0, ["2001:db8::1 80"]],
    ["ALL", both, 0, ["192.0.2.1 80", "2001:db8::1 80"]],
    ["V4_ONLY", ["192.0.2.1"], 4, ["192.0.2.1 80"]],
    ["V6_ONLY", ["2001:db8::1"], 6, ["2001:db8::1 80"]],
  ] as const) {
    const { apply, answers, asked, endpoints } = world(t);
    answers["a.test"] = found;
    await apply([named([host("a.test")], { dns_lookup_family: family })]);
    t.strictSame(asked, [`a.test/${version}`], family);
    t.strictSame(endpoints(), want, family);
  }
});

test("names: a configuration waits for the first lookups of new names, half a second in all", async (t) => {
  const { apply, answers, clock, endpoints, asked, late, core } = world(t);
  answers["a.test"] = ["192.0.2.1"];
  let isApplied = false;
  const hosts = [host("a.test"), host("silent.test"), host("other.test"), host("third.test")];
  const applied = apply([named(hosts)]).then(() => {
    isApplied = true;
  });
  await clock.advance(499);
  t.equal(isApplied, false);
  t.equal(core.clusters.size, 0);
  await clock.advance(1);
  await applied;
  t.strictSame(endpoints(), ["192.0.2.1 80"]);
  await apply([named(hosts, { dns_refresh_rate: "6s" })]);
  t.pass("nothing is waited for that was there before");
  t.strictSame(asked, ["a.test/0", "silent.test/0", "other.test/0"]);
  late(["192.0.2.7"]);
  await clock.advance(0);
  t.strictSame(endpoints(), ["192.0.2.1 80"], "what came for the cluster as it was does not count");
  late(["192.0.2.7"]);
  await clock.advance(0);
  t.strictSame(endpoints(), ["192.0.2.1 80", "192.0.2.7 80"], "endpoints come when they come");
});

test("names: two lookups at a time, and what one finds after 30 s is ignored", async (t) => {
  const { apply, clock, endpoints, asked, waiting, configuration } = world(t);
  const applied = apply([named([host("a.test"), host("b.test"), host("c.test")])]);
  await clock.advance(500);
  await applied;
  t.strictSame(asked, ["a.test/0", "b.test/0"]);
  await clock.advance(29_500);
  t.match(configuration.namesIn("c"), [
    { host: "a.test", trouble: "no answer within 30 s" },
    { host: "b.test", trouble: "no answer within 30 s" },
    { host: "c.test", trouble: "" },
  ]);
  await clock.advance(60_000);
  t.equal(asked.length, 2, "their threads are not free yet");
  waiting.shift()?.end(["192.0.2.1"]);
  await clock.advance(0);
  t.strictSame(endpoints(), []);
  t.strictSame(asked.slice(2), ["c.test/0"]);
  waiting.pop()?.end(["192.0.2.3"]);
  await clock.advance(0);
  t.strictSame(endpoints(), ["192.0.2.3 80"]);
  await clock.advance(5_000);
  t.strictSame(asked.slice(3), ["a.test/0"], "one that was late has its turn again");
  waiting.pop()?.end(["192.0.2.1"]);
  await clock.advance(0);
  t.strictSame(endpoints(), ["192.0.2.1 80", "192.0.2.3 80"]);
});

test("names: lookups end with their cluster, also those that are under way", async (t) => {
  const { apply, answers, clock, core, asked, late } = world(t);
  answers["a.test"] = ["192.0.2.1"];
  await apply([named([host("a.test")])]);
  await apply([]);
  t.equal(core.clusters.size, 0);
  t.equal(clock.pending, 0);
  const before = asked.length;
  answers["a.test"] = undefined;
  const applied = apply([named([host("a.test")])]);
  await clock.advance(500);
  await applied;
  await apply([]);
  late(["192.0.2.1"]);
  await clock.advance(60_000);
  t.equal(asked.length, before + 1);
  t.equal(clock.pending, 0);
});

test("names: what a changed cluster still names keeps its addresses while it cannot be looked up", async (t) => {
  const { apply, answers, clock, endpoints, asked } = world(t);
  answers["a.test"] = ["192.0.2.1"];
  const fields = { dns_lookup_family: "V4_ONLY" };
  await apply([named([host("a.test")], fields)]);
  await apply([named([host("a.test")], { ...fields, connect_timeout: "2s" })]);
  t.equal(asked.length, 1, "what does not change about names is not looked up anew");
  answers["a.test"] = FAILED;
  answers["b.test"] = ["192.0.2.2"];
  await apply([named([host("b.test"), host("a.test")], { ...fields, dns_refresh_rate: "60s" })]);
  t.strictSame(endpoints(), ["192.0.2.2 80", "192.0.2.1 80"]);
  await apply([named([host("b.test"), host("a.test")], { dns_refresh_rate: "60s" })]);
  t.strictSame(endpoints(), ["192.0.2.2 80", "192.0.2.1 80"], "with another family, too");
  t.equal(asked.length, 5);
  await clock.advance(59_999);
  t.equal(asked.length, 5);
  await clock.advance(1);
  t.equal(asked.length, 7);
});

test("names: one that does not look up takes what it is told, before its configuration and after", async (t) => {
  const { apply, asked, configuration, endpoints, clock } = world(t, false);
  const tell = (addresses: readonly string[], trouble = ""): void =>
    configuration.learnNames({ cluster: "c", names: [{ host: "a.test", addresses, trouble }] });
  tell(["192.0.2.1"]);
  await apply([named([host("a.test"), host("192.0.2.9")])]);
  t.strictSame(endpoints(), ["192.0.2.1 80", "192.0.2.9 80"]);
  tell(["192.0.2.2"], "the server is broken");
  t.strictSame(endpoints(), ["192.0.2.2 80", "192.0.2.9 80"]);
  t.match(configuration.namesIn("c"), [{ trouble: "the server is broken" }, {}]);
  await apply([named([host("a.test")], { dns_lookup_family: "V4_ONLY" })]);
  t.strictSame(endpoints(), ["192.0.2.2 80"]);
  await apply([]);
  await apply([named([host("a.test")])]);
  t.strictSame(endpoints(), [], "what is told of a cluster goes with it");
  t.strictSame(asked, []);
  t.equal(clock.pending, 0);
});

test("names: one that looks up tells what it found before its configuration is in force elsewhere, and each change", async (t) => {
  const { apply, answers, clock, configuration, renewed, late } = world(t);
  const found = (...addresses: readonly string[]) => ({
    cluster: "c",
    names: [{ host: "a.test", addresses, trouble: "" }],
  });
  answers["a.test"] = ["192.0.2.1"];
  const update = {
    listeners: [],
    routes: [],
    clusters: [named([host("a.test")])],
    endpoints: [],
    changed: "clusters",
    versions: { listeners: "1", routes: "1", clusters: "1", endpoints: "1" },
  } as const;
  await configuration.apply(update, async () => {
    t.strictSame(renewed.splice(0), [found("192.0.2.1")]);
  });
  t.strictSame(renewed.splice(0), [found("192.0.2.1")], "again: answers may have come meanwhile");
  t.strictSame(configuration.names, [found("192.0.2.1")]);
  answers["a.test"] = ["192.0.2.2"];
  await clock.advance(5_000);
  await clock.advance(5_000);
  t.strictSame(renewed.splice(0), [found("192.0.2.2")]);
  answers["b.test"] = ["192.0.2.3"];
  const refusal = new Error("refused elsewhere");
  const other = { ...update, clusters: [named([host("b.test")])] };
  await t.rejects(
    configuration.apply(other, () => Promise.reject(refusal)),
    refusal,
  );
  t.strictSame(configuration.names, [found("192.0.2.2")]);
  t.equal(clock.pending, 1, "what was begun has ended");
  answers["a.test"] = undefined;
  await apply([]);
  const applied = apply([named([host("a.test")])]);
  await clock.advance(500);
  await applied;
  renewed.splice(0);
  late(["192.0.2.4"]);
  await clock.advance(0);
  t.strictSame(renewed, [found("192.0.2.4")]);
});

test("names: a configuration that is refused leaves no lookups behind", async (t) => {
  const { apply, answers, clock, core } = world(t);
  answers["a.test"] = ["192.0.2.1"];
  const path = "/no/such/folder/log";
  const hcm = {
    access_log: [
      {
        name: "file",
        typed_config: {
          "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
          path,
        },
      },
    ],
  };
  const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: {}, hcm }), { registry });
  const refused = apply([named([host("a.test")])], bootstrap.staticResources?.listeners);
  await t.rejects(refused, { code: CONFIG_REJECTED, message: /access_log path/ });
  t.equal(core.clusters.size, 0);
  t.equal(clock.pending, 0);
});

test("names: what cannot be looked up is refused with its path", async (t) => {
  const { apply } = world(t);
  const at = "load_assignment.endpoints[0].lb_endpoints[0].endpoint";
  for (const [cluster, words] of [
    [named([host("")]), `${at}.address.socket_address.address is no IP address or host name: ""`],
    [named([host("999.1.1.1")]), `${at}.address.socket_address.address is no IP address or host name`],
    [named([host("0x7f000001")]), "is no IP address or host name"],
    [named([host("a.0X7F.")]), "is no IP address or host name"],
    [named([host("1e3")]), "is no IP address or host name"],
    [named([host("a b.test")]), `${at}.address.socket_address.address is no IP address or host name`],
    [named([host("a..test")]), `${at}.address.socket_address.address is no IP address or host name`],
    [named([host(`${"x".repeat(64)}.test`)]), "is no IP address or host name"],
    [named([host("a.test")], { dns_refresh_rate: "0s" }), "dns_refresh_rate must be above 1 ms"],
    [named([host("a.test")], { dns_refresh_rate: "0.001s" }), "dns_refresh_rate must be above 1 ms"],
    [named([host("a.test")], { dns_lookup_family: 9 }), "dns_lookup_family has a value"],
    [named([host("a.test")], { type: "LOGICAL_DNS" }), "type has a value that this proxy does not support"],
    [
      named([
        {
          endpoint: {
            address: { socket_address: { address: "a.test", port_value: 80 } },
            additional_addresses: [{ address: { socket_address: { address: "192.0.2.1", port_value: 80 } } }],
          },
        },
      ]),
      `${at}.additional_addresses are for endpoints that are no host names`,
    ],
  ] as const)
    await t.rejects(apply([cluster]), { code: CONFIG_REJECTED, message: new RegExp(escaped(words)) }, words);
});

function escaped(text: string): string {
  return text.replaceAll(/[.[\]()]/g, "\\$&");
}
