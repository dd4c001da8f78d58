// How many tries an upstream that answers 503 at once gets for the requests of 256 connections, where a route asks for three retries.
import { estimate } from "../../lib/statistics.ts";
import { startOrigin, startWeir } from "../contenders.ts";
import type { Outcome, Shape } from "../figures.ts";
import { bootstrap, cluster, GUARDS, route } from "../rivals/bootstrap.ts";
import { type Settings, takeRounds } from "../rounds.ts";
import { freePorts, Stage } from "../stage.ts";
import { runWrk } from "../wrk.ts";

const CONNECTIONS = 256;

export const retryShapes: readonly Shape[] = [
  { name: "retries", about: "tries for each request while the upstream answers 503", run },
];

async function run(settings: Settings): Promise<Outcome> {
  return Stage.with(async (stage) => {
    const origin = await startOrigin(stage);
    const port = await freePorts(2);
    const { circuit_breakers } = GUARDS;
    const action = { cluster: "down", retry_policy: { retry_on: "5xx", num_retries: 3 } };
    await startWeir(
      stage,
      port,
      bootstrap({
        port,
        adminPort: port + 1,
        virtualHosts: [{ name: "all", domains: ["*"], routes: [route("all", { prefix: "/" }, action)] }],
        clusters: [cluster("down", origin, { circuit_breakers: circuit_breakers ?? {} })],
      }),
    );
    const measure = async (seconds: number) => {
      const before = await servedBy(origin);
      const { requests } = await runWrk({ port, path: "/down", connections: CONNECTIONS }, seconds);
      // Of what the origin counts, one request is the question itself.
      return { requests, tries: (await servedBy(origin)) - before - 1 };
    };
    const { down = [] } = await takeRounds([{ name: "down", measure }], settings);
    const seen = estimate(down.map(({ requests, tries }) => tries / requests));
    const name = "tries per request against 503 at once, c256, three retries";
    return { figures: [{ name, unit: "", seen, goal: 1.25 }], samples: down };
  });
}

/** Requests that the origin has taken so far. */
async function servedBy(origin: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${origin}/status`)).text();
  return Number(/\n\s*\d+ \d+ (\d+)/.exec(text)?.[1]);
}
