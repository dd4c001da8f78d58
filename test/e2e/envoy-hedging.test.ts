// Hedged requests in weir's proxy and in a stock Envoy, from the same bootstrap: of a try that is late and the one beside it both choose the same
// answer, whichever fails, and in whichever order.
import { createServer } from "node:http";
import { type Test, test } from "tap";
import { requireEnvoy } from "../support/envoy.ts";
import { ask, backends, filled, listen, type Ports, type Seen, served } from "./bothproxies.ts";
import { cluster, ELSEWHERE, endpoint, LISTENER, type Request } from "./envoy.cases.ts";

/** Well beyond the time of a try. */
const DELAY_MS = 1_400;

const SITUATIONS: readonly {
  readonly what: string;
  readonly backends: readonly string[];
  readonly policy?: string;
  readonly route?: string;
  readonly host?: string;
  readonly asked?: Partial<Request>;
  /** Status, and the backend whose answer it is. */
  readonly answer: string;
}[] = [
  { what: "the try beside a late one answers", backends: ["slow", "a"], answer: "200 a" },
  { what: "a late try answers first", backends: ["slow", "delayed"], answer: "200 delayed" },
  { what: "nobody answers", backends: ["slow"], route: "timeout: 1.5s", answer: "504" },
  { what: "no try is left", backends: ["delayed"], policy: "num_retries: 0", answer: "200 delayed" },
  { what: "the try beside is refused", backends: ["delayed", "dead"], answer: "200 delayed" },
  { what: "the try beside is reset", backends: ["delayed", "reset"], answer: "200 delayed" },
  { what: "the try beside answers badly", backends: ["delayed", "error"], answer: "200 delayed" },
  { what: "all answer badly", backends: ["delayedError"], answer: "500 delayedError" },
  {
    what: "the late try answers badly, and the other one well",
    backends: ["delayedError", "slowA"],
    answer: "200 slowA",
  },
  {
    what: "the late try answers badly, and the other one never",
    backends: ["delayedError", "slow"],
    route: "timeout: 2.5s",
    answer: "504",
  },
  {
    what: "three tries at once",
    backends: ["slow", "reset", "a"],
    policy: "num_retries: 2",
    answer: "200 a",
  },
  {
    what: "a request with a body",
    backends: ["slow", "a"],
    asked: { line: "POST /x", headers: ["content-length: 5"], body: "hello" },
    answer: "200 a",
  },
  {
    what: "a route that overrides its host",
    backends: ["delayed"],
    route: "hedge_policy: {}",
    answer: "504",
  },
  { what: "a host without hedging", backends: ["delayed"], host: "plain.example", answer: "504" },
];

const routes = SITUATIONS.map(
  ({ policy = "num_retries: 1", route = "timeout: 6s" }, index) => `
                        - { match: { path_separated_prefix: /${index} }, route: { cluster: "${index}", ${route}, retry_policy: { retry_on: 5xx, per_try_timeout: 0.4s, ${policy}, ${ELSEWHERE} } } }`,
).join("");
const clusters = SITUATIONS.map(({ backends: names }, index) =>
  cluster(
    `"${index}"`,
    names.map((name) => endpoint(name)),
  ),
).join("");
const BOOTSTRAP = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: hedged
                      domains: ["*"]
                      hedge_policy: { hedge_on_per_try_timeout: true }
                      routes:${routes}
                    - name: plain
                      domains: [plain.example]
                      routes:${routes}
  clusters:${clusters}
`;

/** A backend that takes its time; its name without the delay is what it says. */
function delayed(t: Test, name: string, status: number, delayMs: number): Promise<number> {
  const server = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.writeHead(status, { "x-backend": name }).end("done"), delayMs).unref();
  });
  return listen(t, server);
}

test("bootstrap: weir and Envoy hedge alike", { timeout: 180_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports: Ports = {
    ...(await backends(t)),
    delayed: await delayed(t, "delayed", 200, DELAY_MS),
    delayedError: await delayed(t, "delayedError", 500, DELAY_MS),
    slowA: await delayed(t, "slowA", 200, 2 * DELAY_MS),
  };
  const text = filled(BOOTSTRAP, ports);
  // Twice each, so that both of two backends are the first one once.
  const askAll = (): Promise<Seen[]> =>
    Promise.all(
      [...SITUATIONS, ...SITUATIONS].map(({ host, asked }, index) =>
        ask(ports.port ?? 0, {
          line: `/${index % SITUATIONS.length}/x`,
          ...(host !== undefined && { host }),
          ...asked,
          ...(asked?.line !== undefined && {
            line: asked.line.replace("/x", `/${index % SITUATIONS.length}/x`),
          }),
        }),
      ),
    );
  for (const who of ["weir", program]) {
    const seen = await served(t, who, text, ports, askAll);
    for (const [index, { status, backend = "" }] of seen.entries()) {
      const { what = "", answer } = SITUATIONS[index % SITUATIONS.length] ?? {};
      t.equal(`${status} ${backend}`.trim(), answer, `${who === "weir" ? "weir" : "Envoy"}: ${what}`);
    }
  }
});
