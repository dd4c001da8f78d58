// The bootstrap reader: the subset that it takes, in YAML and JSON, and errors that lead to the line.
import { readFile } from "node:fs/promises";
import { test } from "tap";
import { parseAllDocuments } from "yaml";
import { isWeirError } from "../../src/lib/errors.ts";
import { BOOTSTRAP_INVALID, controlPlaneOf, readBootstrap } from "../../src/xds/client.ts";
import { durationMs } from "../../src/xds/types.ts";
import { adsBootstrap } from "../support/xds.ts";

const GATEWAY = adsBootstrap({
  id: "default/web-1",
  group: "gateway/default/web",
  endpoints: [
    { address: "127.0.0.1", port: 18_000 },
    { address: "::1", port: 18_001 },
  ],
  more: `  metadata: { weir.dev/epoch: "17" }
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: 9901 } }
`,
});

const LISTEN = { socket_address: { address: "127.0.0.1", port_value: 8000 } };

async function errorOf(text: string, file = "boot.yaml"): Promise<string> {
  try {
    await readBootstrap(text, file);
  } catch (error) {
    if (isWeirError(error, BOOTSTRAP_INVALID)) return error.message;
    throw error;
  }
  return "no error";
}

/** GATEWAY with `line` in place of the line that holds `part`, and that line's number. */
function edited(part: string, line: string): { readonly text: string; readonly at: number } {
  const lines = GATEWAY.split("\n");
  const index = lines.findIndex((one) => one.includes(part));
  lines[index] = line;
  return { text: lines.join("\n"), at: index + 1 };
}

test("bootstrap: names the node, the admin address and the control plane", async (t) => {
  const bootstrap = await readBootstrap(GATEWAY, "boot.yaml");
  t.match(bootstrap.node, {
    id: "default/web-1",
    cluster: "gateway/default/web",
    metadata: { "weir.dev/epoch": "17" },
  });
  t.strictSame(controlPlaneOf(bootstrap), {
    addresses: ["127.0.0.1:18000", "[::1]:18001"],
    clusters: ["weir"],
    reportsLoad: true,
  });
  t.equal(durationMs(bootstrap.staticResources?.clusters[0]?.connectTimeout), 250);
});

test("bootstrap: the command line names the node where replicas share a file", async (t) => {
  const shared = GATEWAY.replace("  id: default/web-1\n", "");
  await t.rejects(readBootstrap(shared, "boot.yaml"), { message: /node must have an id/ });
  const named = await readBootstrap(shared, "boot.yaml", { serviceNode: "default/web-2" });
  t.match(named.node, { id: "default/web-2", cluster: "gateway/default/web" });
  const both = await readBootstrap(GATEWAY, "boot.yaml", {
    serviceNode: "a/b",
    serviceCluster: "gateway/a/c",
  });
  t.match(both.node, { id: "a/b", cluster: "gateway/a/c" });
});

test("bootstrap: the shipped gateway's is one, but for its id", async (t) => {
  const manifests = await readFile(new URL("../../deploy/kubernetes/gateway.yaml", import.meta.url), "utf8");
  const config = parseAllDocuments(manifests)
    .map((document) => document.toJS() as { readonly kind: string; readonly data?: Record<string, string> })
    .find(({ kind }) => kind === "ConfigMap");
  const bootstrap = await readBootstrap(config?.data?.["bootstrap.yaml"] ?? "", "bootstrap.yaml", {
    serviceNode: "default/edge-1",
  });
  t.equal(bootstrap.node?.cluster, "gateway/default/edge");
  t.strictSame(controlPlaneOf(bootstrap), {
    addresses: ["weir-controller.weir-system:18000"],
    clusters: ["weir-controller"],
    reportsLoad: true,
  });
});

test("bootstrap: the example of the reference page is one", async (t) => {
  const page = await readFile(new URL("../../docs/reference/bootstrap.md", import.meta.url), "utf8");
  const example = /```yaml\n([^`]*)```/.exec(page)?.[1] ?? "";
  t.strictSame(controlPlaneOf(await readBootstrap(example, "bootstrap.md"))?.addresses, ["127.0.0.1:18000"]);
});

test("bootstrap: JSON in camelCase says the same", async (t) => {
  const json = {
    node: { id: "a", cluster: "g" },
    dynamicResources: {
      adsConfig: {
        apiType: "GRPC",
        transportApiVersion: "V3",
        grpcServices: [{ googleGrpc: { targetUri: "dns:///weir:18000", statPrefix: "weir" } }],
      },
      ldsConfig: { ads: {} },
      cdsConfig: { ads: {} },
    },
  };
  const bootstrap = await readBootstrap(JSON.stringify(json), "boot.json");
  t.strictSame(controlPlaneOf(bootstrap), { addresses: ["weir:18000"], clusters: [], reportsLoad: false });
});

test("bootstrap: static listeners and clusters need no control plane", async (t) => {
  const bootstrap = await readBootstrap(
    `
static_resources:
  listeners:
    - name: web
      address: { socket_address: { address: 127.0.0.1, port_value: 8000 } }
      filter_chains:
        - filters:
            - name: http
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: web
                route_config:
                  name: web
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{ match: { prefix: / }, route: { cluster: a, timeout: 1.5s } }]
                http_filters:
                  - name: router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
    - name: a
      type: STATIC
      load_assignment:
        cluster_name: a
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9000 } } } }] }]
`,
    "static.yaml",
  );
  t.equal(controlPlaneOf(bootstrap), undefined);
  t.equal(bootstrap.staticResources?.listeners[0]?.name, "web");
});

test("bootstrap: a field that is unknown is named with file, line and column", async (t) => {
  const { text, at } = edited("connect_timeout", "      connect_timeoutt: 0.25s");
  t.match(
    await errorOf(text),
    `boot.yaml:${at}:7: static_resources.clusters[0].connect_timeoutt is not a field of`,
  );
});

test("bootstrap: a field that is known and not supported is named with file, line and column", async (t) => {
  const { text, at } = edited("connect_timeout", "      max_requests_per_connection: 5");
  t.match(
    await errorOf(text),
    `boot.yaml:${at}:7: static_resources.clusters[0].max_requests_per_connection is not supported`,
  );
});

test("bootstrap: a wrong value is named with file, line and column", async (t) => {
  const duration = edited("connect_timeout", "      connect_timeout: soon");
  t.match(
    await errorOf(duration.text),
    `boot.yaml:${duration.at}:7: static_resources.clusters[0].connect_timeout has a wrong value`,
  );
  const port = edited(
    "::1",
    '              - endpoint: { address: { socket_address: { address: "::1", port_value: many } } }',
  );
  const column = (port.text.split("\n")[port.at - 1]?.indexOf("port_value") ?? 0) + 1;
  t.match(
    await errorOf(port.text),
    `boot.yaml:${port.at}:${column}: static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[1].endpoint.address.socket_address.port_value has`,
  );
});

test("bootstrap: what does not hang together is named", async (t) => {
  const cluster = edited("    - name: weir", "    - name: other");
  t.match(
    await errorOf(cluster.text),
    /boot.yaml:\d+:\d+: dynamic_resources.ads_config.grpc_services\[0\].envoy_grpc.cluster_name names weir/,
  );
  t.match(await errorOf(edited("cluster: gateway", "").text), "node must have a cluster");
  t.match(await errorOf("admin: {}"), "has no listeners");
  const twice = {
    static_resources: { clusters: [{ name: "a" }, { name: "b" }, { name: "a" }], listeners: [{}, {}] },
  };
  const repeated = await errorOf(JSON.stringify(twice));
  t.match(repeated, /static_resources.listeners\[1\].name repeats the name ""/);
  t.match(repeated, /static_resources.clusters\[2\].name repeats the name "a"/);
  t.match(await errorOf("a: [1"), /boot.yaml:1:\d+: the bootstrap is not YAML/);
  t.match(await errorOf("- 1"), "is no mapping");
});

test("bootstrap: an extension of unknown type is named", async (t) => {
  const { text, at } = edited('"@type"', '          "@type": type.googleapis.com/envoy.extensions.Nothing');
  t.match(
    await errorOf(text),
    new RegExp(
      `boot.yaml:${at}:11: .*typed_extension_protocol_options.*Nothing, which this proxy does not know`,
    ),
  );
});

test("bootstrap: what is wrong in JSON is named with file, line and column as well", async (t) => {
  const lines = (inner: string): string => `{\n  "node": { "id": "a", "cluster": "g" },\n  ${inner}\n}`;
  const message = (inner: string): Promise<string> => errorOf(lines(inner), "boot.json");
  t.match(await message('"adminn": {}'), "boot.json:3:3: adminn is not a field of");
  t.match(await message('"admin": { "address": 1 }'), "boot.json:3:14: admin.address has a wrong value");
  t.match(await message('"flags_path": "/x"'), /boot.json:3:3: flags_path is not/);
  t.match(await message('"admin": {}, "admin": {}'), /boot.json:3:\d+: the bootstrap is not YAML: .*unique/);
  t.match(await message('"node": {'), /boot.json:\d+:\d+: the bootstrap is not YAML/);
});

test("bootstrap: strings that look like keys, and escaped ones, are no reason to refuse JSON", async (t) => {
  const static_resources = { listeners: [{ name: '"a": \\"b": {', address: LISTEN, filter_chains: [] }] };
  const text = JSON.stringify({ node: { id: "\\", cluster: '"' }, static_resources }, undefined, 2);
  const bootstrap = await readBootstrap(text, "boot.json");
  t.equal(bootstrap.staticResources?.listeners[0]?.name, '"a": \\"b": {');
  t.match(bootstrap.node, { id: "\\", cluster: '"' });
});
