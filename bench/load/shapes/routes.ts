// What many routes cost: 10 000 over 1 000 hosts, and 2 000 rules of all kinds on one host, hit on the last one, against 10 routes.
import { startOrigin, startWeir } from "../contenders.ts";
import { cpuRatio, type Outcome, type Shape, usageOf } from "../figures.ts";
import { bootstrap, cluster, type Json, route, split } from "../rivals/bootstrap.ts";
import { type Settings, takeRounds, wrkArm } from "../rounds.ts";
import { freePorts, Stage } from "../stage.ts";

const CONNECTIONS = 64;
const HOSTS = 1_000;
const ROUTES_PER_HOST = 10;
const MIXED = 2_000;
/** Longer than any other rule's path, so that all tables are asked for the same. */
const LAST = "/last/of/all";

export const routeShapes: readonly Shape[] = [
  { name: "routes", about: "10 000 routes, and 2 000 mixed rules, against 10", run },
];

async function run(settings: Settings): Promise<Outcome> {
  return Stage.with(async (stage) => {
    const origin = await startOrigin(stage);
    const tables: Readonly<Record<string, Json[]>> = {
      "10 routes": [hostOf(HOSTS - 1)],
      "10 000 routes": Array.from({ length: HOSTS }, (_, index) => hostOf(index)),
      "2 000 mixed rules": [mixedHost(nameOf(HOSTS - 1))],
    };
    const arms = [];
    for (const [name, virtualHosts] of Object.entries(tables)) {
      const port = await freePorts(2);
      const clusters = [cluster("v1", origin), cluster("v2", origin + 1)];
      const manager = { generate_request_id: false };
      const ask = { host: nameOf(HOSTS - 1), path: LAST };
      const parts = { port, adminPort: port + 1, virtualHosts, clusters, manager };
      const { program } = await startWeir(stage, port, bootstrap(parts), ask);
      const headers = ["x-tenant: nobody", "x-plan: none"];
      arms.push(wrkArm(name, program, { port, ...ask, headers, connections: CONNECTIONS }));
    }
    const rounds = await takeRounds(arms, settings);
    return {
      figures: [
        cpuRatio(rounds, ["10 000 routes", "10 routes"], {
          name: "CPU, 10 000 routes over 1 000 hosts: to 10 routes",
          goal: 1.1,
          stretch: 1.02,
        }),
        cpuRatio(rounds, ["2 000 mixed rules", "10 routes"], {
          name: "CPU, 2 000 mixed rules on one host, the last is hit: to 10 routes",
          goal: 1.5,
          stretch: 1.2,
        }),
      ],
      usage: usageOf(rounds),
      samples: rounds,
    };
  });
}

const nameOf = (index: number): string => `host${index}.shop.example`;

/** Ten routes by prefix; the last is the one that is asked for. */
function hostOf(index: number): Json {
  const paths = Array.from({ length: ROUTES_PER_HOST - 1 }, (_, route) => `/service${route}/`);
  const routes = [...paths, LAST].map((prefix) => route(`${index}${prefix}`, { prefix }, split()));
  return { name: nameOf(index), domains: [nameOf(index)], routes };
}

/** Rules on prefixes, whole paths, patterns, headers, parameters and methods in turn, and one prefix behind them. */
function mixedHost(name: string): Json {
  const rules = Array.from({ length: MIXED - 1 }, (_, index) => route(`${index}`, mixed(index), split()));
  return { name, domains: [name], routes: [...rules, route("last", { prefix: LAST }, split())] };
}

function mixed(index: number): Json {
  const header = (name: string, exact: string): Json => ({ name, string_match: { exact } });
  switch (index % 6) {
    case 0:
      return { prefix: `/service${index}/` };
    case 1:
      return { path: `/service${index}` };
    case 2:
      return { safe_regex: { regex: `/service${index}/[0-9]+/.*` } };
    case 3:
      return { prefix: "/", headers: [header("x-tenant", `tenant${index}`)] };
    case 4:
      return { prefix: "/", query_parameters: [{ name: "tenant", string_match: { exact: `${index}` } }] };
    default:
      return { prefix: "/", headers: [header(":method", "POST"), header("x-plan", `plan${index}`)] };
  }
}
