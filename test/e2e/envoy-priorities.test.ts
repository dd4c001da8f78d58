// Priorities of endpoints in weir's proxy and in a stock Envoy, from the same bootstrap: both give each level the share that the rules say.
import { Agent } from "node:http";
import { test } from "tap";
import { binomialP } from "../support/binomial.ts";
import { requireEnvoy } from "../support/envoy.ts";
import { backends, filled, served, statusOf } from "./bothproxies.ts";
import { LISTENER } from "./envoy.cases.ts";

interface Situation {
  /** Backends by level; those behind `!` are said to be unhealthy, behind `~` degraded. */
  readonly levels: readonly (readonly string[])[];
  readonly factor?: number;
  readonly panicPercent?: number;
  /** Percent of the requests by backend, or by status. */
  readonly shares: Readonly<Record<string, number>>;
}

const SITUATIONS: readonly Situation[] = [
  { levels: [["a"], ["b"]], shares: { a: 100 } },
  { levels: [["!a"], ["b"], ["c"]], shares: { b: 100 } },
  { levels: [["!a"], ["!b"], ["c"]], shares: { c: 100 } },
  { levels: [[], ["b"]], shares: { b: 100 } },
  { levels: [["a", "!b"], ["c"]], shares: { a: 70, c: 30 } },
  { levels: [["a", "!b"], ["c"]], factor: 100, shares: { a: 50, c: 50 } },
  { levels: [["a", "!b"], ["c"]], factor: 200, shares: { a: 100 } },
  // Two thirds of a level are down, but another one is there: nobody panics.
  { levels: [["a", "!b", "!d"], ["c"]], shares: { a: 46, c: 54 } },
  // Together 93: each its part of the whole, rounded down, and the rest to the first.
  {
    levels: [
      ["a", "!b", "!d"],
      ["c", "!dead", "!slow"],
    ],
    panicPercent: 0,
    shares: { a: 50, c: 50 },
  },
  { levels: [["!a"], ["!b", "!c"]], shares: { a: 34, b: 33, c: 33 } },
  { levels: [["!a"], ["!b"]], panicPercent: 0, shares: { 503: 100 } },
  { levels: [["a", "~b"]], shares: { a: 70, b: 30 } },
  { levels: [["!a", "~b"], ["c"]], shares: { c: 100 } },
  {
    levels: [
      ["!a", "~b"],
      ["c", "!d"],
    ],
    shares: { b: 30, c: 70 },
  },
  { levels: [["!a", "~b"], ["!c"]], panicPercent: 0, shares: { b: 100 } },
  { levels: [["~a", "!b", "!c"], ["!d"]], shares: { a: 25, b: 25, c: 25, d: 25 } },
];
const REQUESTS = 400;

test("bootstrap: weir and Envoy give the priorities of a cluster the same shares", {
  timeout: 180_000,
}, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const routes = SITUATIONS.map((_situation, i) => `{ match: { path: /${i} }, route: { cluster: c${i} } }`);
  const text = filled(
    `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [${routes.join(", ")}] }]
  clusters: [${SITUATIONS.map(clusterOf).join(", ")}]
`,
    ports,
  );
  for (const who of ["weir", program])
    await served(t, who, text, ports, async () => {
      for (const [i, { shares }] of SITUATIONS.entries()) {
        const counts = await countsOf(ports.port ?? 0, `/${i}`);
        const what = `${who === "weir" ? "weir" : "Envoy"}, ${JSON.stringify(SITUATIONS[i])}`;
        t.strictSame(Object.keys(counts).sort(), Object.keys(shares).sort(), what);
        for (const [backend, percent] of Object.entries(shares))
          t.ok(
            binomialP(counts[backend] ?? 0, REQUESTS, percent / 100) > 1e-6,
            `${what}: ${counts[backend]}`,
          );
      }
    });
});

function clusterOf({ levels, factor, panicPercent }: Situation, i: number): string {
  const level = (names: readonly string[], priority: number): string =>
    `{ priority: ${priority}, lb_endpoints: [${names.map(endpointOf).join(", ")}] }`;
  const policy = factor === undefined ? "" : `policy: { overprovisioning_factor: ${factor} }, `;
  const panic =
    panicPercent === undefined
      ? ""
      : `common_lb_config: { healthy_panic_threshold: { value: ${panicPercent} } }, `;
  return `{ name: c${i}, connect_timeout: 1s, ${panic}load_assignment: { cluster_name: c${i}, ${policy}endpoints: [${levels.map(level).join(", ")}] } }`;
}

function endpointOf(name: string): string {
  const status = name.startsWith("!") ? "UNHEALTHY" : name.startsWith("~") ? "DEGRADED" : "HEALTHY";
  return `{ health_status: ${status}, endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {${name.replace(/\W/, "")}} } } } }`;
}

async function countsOf(port: number, path: string): Promise<Record<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const counts: Record<string, number> = {};
  for (let sent = 0; sent < REQUESTS; sent += 1) {
    const backend = await statusOf(port, path, agent);
    counts[backend] = (counts[backend] ?? 0) + 1;
  }
  agent.destroy();
  return counts;
}
