// Clusters of type STRICT_DNS: which endpoints their host names lead to, how long, and what failures of lookups change (nothing).
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { type Answer, lookUpBy } from "../../src/proxy/lookup.ts";
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

const known = (...addresses: readonly string[]): Answer => ({ kind: "known", addresses, ttlMs: 0 });
const FAILED: Answer = { kind: "failed", why: "the server is broken" };

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

/** A proxy without sockets. `answers` are by `host` or `host/version`; what has none is never answered, unless by `late`. */
function world(t: Test) {
  const clock = createManualClock();
  const asked: string[] = [];
  const said: string[] = [];
  const answers: Record<string, Answer | undefined> = {};
  const waiting: ((answer: Answer) => void)[] = [];
  const core = new Core({
    clock,
    log: createLogger({ format: "json", write: (line) => said.push(String(JSON.parse(line).message)) }),
    seed: 1,
    lookUp: lookUpBy([
      (name, version) => {
        asked.push(`${name}/${version}`);
        const answer = answers[`${name}/${version}`] ?? answers[name];
        if (answer !== undefined) return Promise.resolve(answer);
        return new Promise((resolve) => waiting.push(resolve));
      },
    ]),
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
  const late = (answer: Answer): void => waiting.splice(0).forEach((resolve) => void resolve(answer));
  return { clock, asked, said, answers, late, core, configuration, apply, endpoints };
}

test("names: every address that a name has is an endpoint, with what its entry says", async (t) => {
  const { apply, answers, core, configuration, endpoints } = world(t);
  Object.assign(answers, {
    "a.test": known("192.0.2.2", "192.0.2.1", "192.0.2.2"),
    "b.test": known("192.0.2.1", "2001:db8::1"),
    "192.0.2.9": known("192.0.2.9"),
  });
  await apply([
    named([
      host("a.test", { load_balancing_weight: 3 }),
      host("b.test", { health_status: "UNHEALTHY" }),
      host("192.0.2.9"),
    ]),
  ]);
  t.strictSame(endpoints(), ["192.0.2.1 80", "192.0.2.2 80", "2001:db8::1 80", "192.0.2.9 80"]);
  const of = (address: string) => core.clusters.get("c")?.endpoints.find((one) => one.address === address);
  t.equal(of("192.0.2.1")?.weight, 3, "of two names that lead to it the first has a say");
  t.equal(of("2001:db8::1")?.isUsable, false);
  t.equal(configuration.missing, "");
});

test("names: a new answer adds and removes endpoints, and what stays stays the same", async (t) => {
  const { apply, answers, clock, core, endpoints, asked } = world(t);
  answers["a.test/6"] = known();
  answers["a.test/4"] = known("192.0.2.1", "192.0.2.2");
  await apply([named([host("a.test")])]);
  const [first, second] = core.clusters.get("c")?.endpoints ?? [];
  answers["a.test/4"] = known("192.0.2.3", "192.0.2.2");
  await clock.advance(4_999);
  t.strictSame(asked, ["a.test/6", "a.test/4"]);
  await clock.advance(1);
  t.strictSame(endpoints(), ["192.0.2.2 80", "192.0.2.3 80"]);
  t.equal(core.clusters.get("c")?.endpoints[0], second);
  t.equal(first?.isRemoved, true, "it drains as one that the control plane took away");
  t.equal(second?.isRemoved, false);
  const before = core.clusters.get("c")?.endpoints;
  answers["a.test/4"] = known("192.0.2.2", "192.0.2.3");
  await clock.advance(5_000);
  t.equal(asked.length, 6);
  t.equal(core.clusters.get("c")?.endpoints, before, "another order is no change");
});

test("names: a lookup that fails changes nothing, two answers without addresses take them away", async (t) => {
  const { apply, answers, clock, endpoints, said, configuration } = world(t);
  answers["a.test"] = known("192.0.2.1");
  await apply([named([host("a.test")], { dns_lookup_family: "V4_ONLY", dns_refresh_rate: "1s" })]);
  answers["a.test"] = FAILED;
  await clock.advance(10_000);
  t.strictSame(endpoints(), ["192.0.2.1 80"]);
  t.strictSame(said, ["name of an upstream cannot be looked up"], "it is said once");
  const trouble = { host: "a.test", addresses: ["192.0.2.1"], trouble: "the server is broken" };
  t.strictSame(configuration.namesIn("c"), [trouble]);
  answers["a.test"] = known("192.0.2.1");
  await clock.advance(1_000);
  t.strictSame(said.slice(1), ["name of an upstream is known again"]);
  answers["a.test"] = known();
  await clock.advance(1_000);
  t.strictSame(endpoints(), ["192.0.2.1 80"], "said once, it may be a mistake");
  answers["a.test"] = FAILED;
  await clock.advance(1_000);
  answers["a.test"] = known();
  await clock.advance(1_000);
  t.strictSame(endpoints(), []);
  t.equal(said.length, 5, "each change of what is wrong is said");
});

test("names: a second family that fails beside a first without addresses is a failure", async (t) => {
  const { apply, answers, clock, endpoints } = world(t);
  answers["a.test/6"] = known();
  answers["a.test/4"] = known("192.0.2.1");
  await apply([named([host("a.test")])]);
  answers["a.test/4"] = FAILED;
  await clock.advance(5_000);
  t.strictSame(endpoints(), ["192.0.2.1 80"]);
  answers["a.test/6"] = FAILED;
  answers["a.test/4"] = known("192.0.2.2");
  await clock.advance(5_000);
  t.strictSame(endpoints(), ["192.0.2.2 80"], "addresses of either count");
});

test("names: dns_lookup_family says what is asked for, in turn until there are addresses", async (t) => {
  for (const [family, asks] of [
    ["AUTO", [6, 4]],
    ["V4_ONLY", [4]],
    ["V6_ONLY", [6]],
    ["V4_PREFERRED", [4, 6]],
    ["ALL", [4, 6]],
  ] as const) {
    const { apply, answers, asked } = world(t);
    answers["a.test"] = known();
    await apply([named([host("a.test")], { dns_lookup_family: family })]);
    t.strictSame(
      asked,
      asks.map((one) => `a.test/${one}`),
      family,
    );
  }
  const { apply, answers, asked } = world(t);
  answers["a.test/6"] = known("2001:db8::1");
  await apply([named([host("a.test")])]);
  t.strictSame(asked, ["a.test/6"], "IPv6 addresses are enough");
  const all = world(t);
  all.answers["a.test/6"] = FAILED;
  all.answers["a.test/4"] = known("192.0.2.1");
  await all.apply([named([host("a.test")], { dns_lookup_family: "ALL" })]);
  t.strictSame(all.endpoints(), ["192.0.2.1 80"], "of ALL one is enough");
});

test("names: while DNS fails, what is known is not asked for elsewhere", async (t) => {
  const asked: string[] = [];
  const answering = (who: string, answer: Answer) => (): Promise<Answer> => {
    asked.push(who);
    return Promise.resolve(answer);
  };
  const lookUp = lookUpBy([answering("dns", FAILED), answering("system", known("192.0.2.1"))]);
  t.strictSame(await lookUp("a.test", "auto", false), known("192.0.2.1"));
  t.strictSame(asked.splice(0), ["dns", "dns", "system"]);
  t.strictSame(await lookUp("a.test", "auto", true), FAILED);
  t.strictSame(asked.splice(0), ["dns", "dns"]);
  const gone = lookUpBy([answering("dns", known()), answering("system", FAILED)]);
  t.strictSame(await gone("a.test", "v4", true), FAILED, "nobody knows, and one could not be asked");
  const none = lookUpBy([answering("dns", known()), answering("system", known())]);
  t.strictSame(await none("a.test", "v4", true), known());
});

test("names: respect_dns_ttl lets answers say when they are asked for again", async (t) => {
  for (const [ttlMs, isRespected, wantMs] of [
    [30_000, true, 30_000],
    [30_000, false, 5_000],
    [0, true, 5_000],
    [2 ** 40, true, 24 * 3_600_000],
  ] as const) {
    const { apply, answers, clock, asked, configuration } = world(t);
    answers["a.test"] = { kind: "known", addresses: ["192.0.2.1"], ttlMs };
    await apply([named([host("a.test")], { respect_dns_ttl: isRespected })]);
    await clock.advance(wantMs - 1);
    t.equal(asked.length, 1);
    await clock.advance(1);
    t.equal(asked.length, 2);
    configuration.close();
  }
});

test("names: a configuration waits for the first lookups, 5 s at most", async (t) => {
  const { apply, answers, clock, endpoints, asked, late, core } = world(t);
  answers["a.test"] = known("192.0.2.1");
  let isApplied = false;
  const applied = apply([named([host("a.test"), host("silent.test")])]).then(() => {
    isApplied = true;
  });
  await clock.advance(4_999);
  t.equal(isApplied, false);
  t.equal(core.clusters.size, 0);
  await clock.advance(1);
  await applied;
  t.strictSame(endpoints(), ["192.0.2.1 80"]);
  await clock.advance(60_000);
  t.equal(asked.filter((one) => one.startsWith("silent")).length, 1, "it is not asked again meanwhile");
  late(known("192.0.2.7"));
  await clock.advance(0);
  t.strictSame(endpoints(), ["192.0.2.1 80", "192.0.2.7 80"], "a late answer counts");
});

test("names: lookups end with their cluster, also those that are under way", async (t) => {
  const { apply, answers, clock, core, asked, late } = world(t);
  answers["a.test"] = known("192.0.2.1");
  await apply([named([host("a.test")])]);
  await apply([]);
  t.equal(core.clusters.size, 0);
  t.equal(clock.pending, 0);
  const before = asked.length;
  answers["a.test"] = undefined;
  const applied = apply([named([host("a.test")])]);
  await clock.advance(5_000);
  await applied;
  await apply([]);
  late(known("192.0.2.1"));
  await clock.advance(60_000);
  t.equal(asked.length, before + 1);
  t.equal(clock.pending, 0);
});

test("names: what a changed cluster still names keeps its addresses while it cannot be looked up", async (t) => {
  const { apply, answers, clock, endpoints, asked } = world(t);
  answers["a.test"] = known("192.0.2.1");
  const fields = { dns_lookup_family: "V4_ONLY" };
  await apply([named([host("a.test")], fields)]);
  await apply([named([host("a.test")], { ...fields, connect_timeout: "2s" })]);
  t.equal(asked.length, 1, "what does not change about names is not looked up anew");
  answers["a.test"] = FAILED;
  answers["b.test"] = known("192.0.2.2");
  await apply([named([host("b.test"), host("a.test")], { ...fields, dns_refresh_rate: "60s" })]);
  t.strictSame(endpoints(), ["192.0.2.2 80", "192.0.2.1 80"]);
  await clock.advance(59_999);
  t.equal(asked.length, 3);
  await clock.advance(1);
  t.equal(asked.length, 5);
});

test("names: a configuration that is refused leaves no lookups behind", async (t) => {
  const { apply, answers, clock, core } = world(t);
  answers["a.test"] = known("192.0.2.1");
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
