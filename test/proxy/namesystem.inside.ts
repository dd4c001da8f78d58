// See namesystem.test.ts: here 127.0.0.1:53 is the machine's DNS server.
import { createServer } from "node:http";
import { type Test, test } from "tap";
import { machineLookUp } from "../../src/proxy/lookup.ts";
import { BootstrapSchema, fromJson, registry } from "../../src/xds/types.ts";
import { type DnsServer, startDns } from "../support/dns.ts";
import { childrenOf, startProxyProcess, until } from "../support/proxyprocess.ts";
import { bootstrapOf, closedPort, type Json, startBootstrap, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Servers on those addresses and one port: each answers with its address. */
async function originsOn(t: Test, addresses: readonly string[], isHealthy = true): Promise<number> {
  const port = await closedPort();
  for (const address of addresses) {
    const server = createServer((request, response) => {
      response.statusCode = request.url === "/health" && !isHealthy ? 500 : 200;
      response.end(`<${address}>`);
    });
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
  }
  return port;
}

/** A bootstrap whose one cluster has that host name. */
function bootstrapTo(
  host: string,
  port: number,
  more: Readonly<Record<string, Json>> = {},
  listenerPort = 0,
): Json {
  const endpoint = { address: { socket_address: { address: host, port_value: port } } };
  return bootstrapOf({
    clusters: { web: [] },
    listenerFields: { address: { socket_address: { address: "127.0.0.1", port_value: listenerPort } } },
    clusterFields: {
      type: "STRICT_DNS",
      dns_refresh_rate: "0.05s",
      load_assignment: { cluster_name: "web", endpoints: [{ lb_endpoints: [{ endpoint }] }] },
      ...more,
    },
  });
}

/** The origins that a few requests meet, or what else is answered. */
async function met(port: number): Promise<string> {
  const found = new Set<string>();
  for (let i = 0; i < 6; i++) {
    const { text } = await talk(port, GET, { until: /\r\n\r\n[\s\S]+$/ });
    found.add(/<(.+)>/.exec(text)?.[1] ?? /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? text);
  }
  return [...found].sort().join(" ");
}

const dnsOf = (t: Test): Promise<DnsServer> => startDns(t, "127.0.0.1", 53);

test("names by DNS: requests follow what the server says, and survive its failures", async (t) => {
  const dns = await dnsOf(t);
  const origins = await originsOn(t, ["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
  dns.names.set("web.shop.test", ["127.0.0.2", "127.0.0.3"]);
  const bootstrap = fromJson(BootstrapSchema, bootstrapTo("web", origins), { registry });
  const { port } = await startBootstrap(t, bootstrap, "main");
  t.equal(
    await met(port),
    "127.0.0.2 127.0.0.3",
    "found by the search list, and there from the first request",
  );

  dns.names.set("web.shop.test", ["127.0.0.3", "127.0.0.4"]);
  await until(async () => (await met(port)) === "127.0.0.3 127.0.0.4", "one address came, one went");

  for (const trouble of ["servfail", "silent", undefined] as const) {
    for (const name of ["web.shop.test", "web"])
      if (trouble === undefined) dns.names.delete(name);
      else dns.names.set(name, trouble);
    const asked = dns.asked.length;
    await until(async () => dns.asked.length >= asked + 8, `asked while ${trouble}`);
    t.equal(await met(port), "127.0.0.3 127.0.0.4", trouble ?? "no such name");
  }

  dns.names.set("web", "servfail");
  dns.names.set("web.shop.test", ["127.0.0.2"]);
  await until(async () => (await met(port)) === "127.0.0.2", "it is back, by the search list alone");
});

test("names by DNS: dns_lookup_family chooses among the addresses of both versions", async (t) => {
  const dns = await dnsOf(t);
  dns.names.set("both.test", ["127.0.0.2", "::1"]);
  const origins = await originsOn(t, ["127.0.0.2", "::1"]);
  for (const [family, want] of [
    ["AUTO", "::1"],
    ["V4_PREFERRED", "127.0.0.2"],
    ["V4_ONLY", "127.0.0.2"],
    ["V6_ONLY", "::1"],
    ["ALL", "127.0.0.2 ::1"],
  ] as const) {
    const json = bootstrapTo("both.test", origins, { dns_lookup_family: family });
    const { port } = await startBootstrap(t, fromJson(BootstrapSchema, json, { registry }), "main");
    t.equal(await met(port), want, family);
  }
});

test("names by DNS: the hosts file, the search list and ndots hold as everywhere", async (t) => {
  const dns = await dnsOf(t);
  dns.names.set("pay.dev", ["127.0.0.2"]);
  dns.names.set("pay.dev.shop.test", ["127.0.0.3"]);
  dns.names.set("localhost", ["127.0.0.4"]);
  dns.names.set("broken.test", "servfail");
  t.strictSame(await machineLookUp("pay.dev", 4), ["127.0.0.3"]);
  t.strictSame(await machineLookUp("pay.dev.", 4), ["127.0.0.2"]);
  t.strictSame(await machineLookUp("localhost", 4), ["127.0.0.1"]);
  for (const name of ["broken.test", "none.test"]) await t.rejects(machineLookUp(name, 0));
});

test("names by DNS: worker processes learn what one found, with what checks said of it", async (t) => {
  const dns = await dnsOf(t);
  const origins = await originsOn(t, ["127.0.0.2", "127.0.0.3"]);
  dns.names.set("web.shop.test", ["127.0.0.2"]);
  const adminPort = await closedPort();
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
  const check = { timeout: "1s", interval: "60s", no_traffic_interval: "60s", unhealthy_threshold: 1 };
  const more: Readonly<Record<string, Json>> = {
    // All of them would serve.
    common_lb_config: { healthy_panic_threshold: { value: 0 } },
    health_checks: [{ ...check, healthy_threshold: 1, http_health_check: { path: "/health" } }],
  };
  const port = await closedPort();
  const json = bootstrapTo("web", origins, more, port);
  const text = JSON.stringify(Object.assign({}, json, { admin }));
  const proxy = await startProxyProcess(t, text, adminPort, ["--workers", "3", "--drain-delay", "0s"]);
  await until(async () => (await proxy.ready()) === "ready\n", "ready");
  await until(async () => (await met(port)) === "127.0.0.2", "the first address serves");
  dns.names.set("web.shop.test", ["127.0.0.3"]);
  // Nobody says which worker takes a connection: of so many, each takes some.
  const isServing = async (): Promise<boolean> => {
    for (let round = 0; round < 8; round++) if ((await met(port)) !== "127.0.0.3") return false;
    return true;
  };
  await until(isServing, "the next one serves in every worker");
  const dump = JSON.parse(await proxy.page("/config_dump"));
  t.match(dump.clusters, [{ name: "web", names: [{ host: "web", addresses: ["127.0.0.3"], trouble: "" }] }]);

  // There is no other way to it than to be told.
  for (const name of ["web.shop.test", "web"]) dns.names.set(name, "silent");
  const before = await childrenOf(proxy.pid);
  for (const worker of before) process.kill(worker, "SIGKILL");
  await until(async () => {
    const others = (await childrenOf(proxy.pid)).filter((worker) => !before.includes(worker));
    return others.length === before.length && (await isServing());
  }, "workers that begin are told what is known");
});
