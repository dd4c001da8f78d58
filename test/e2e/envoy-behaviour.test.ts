// The same bootstrap in weir's proxy and in a stock Envoy: what takes more than one request to see. Ejection, health checks, weights, mirrors,
// access logs.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "tap";
import { requireEnvoy } from "../support/envoy.ts";
import { ask, backends, filled, recorder, served, statusOf, TALK_MS } from "./bothproxies.ts";
import { CHECKED, ejecting, LOGGED, MIRRORED, WEIGHTED } from "./envoy.cases.ts";

test("bootstrap: weir and Envoy eject the same", { timeout: 180_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const failures = (who: string, text: string): Promise<number> =>
    served(t, who, text, ports, async () => {
      let count = 0;
      for (let sent = 0; sent < 12; sent += 1)
        if ((await ask(ports.port ?? 0, { line: "/" })).status === 500) count += 1;
      return count;
    });
  for (const [detection, expected] of [
    ["consecutive_5xx: 2, max_ejection_percent: 50", 2],
    ["consecutive_5xx: 2, always_eject_one_host: true", 2],
    ["consecutive_5xx: 2, max_ejection_percent: 49", 6],
    ["consecutive_5xx: 2, max_ejection_percent: 50, enforcing_consecutive_5xx: 0", 6],
  ] as const) {
    const text = filled(ejecting(detection), ports);
    const seen = [await failures("weir", text), await failures(program, text)];
    t.strictSame(seen, [expected, expected], detection);
  }
});

test("bootstrap: weir and Envoy keep requests off what fails its health check", {
  timeout: 120_000,
}, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const text = filled(CHECKED, ports);
  for (const who of ["weir", program])
    await served(t, who, text, ports, async () => {
      // Until the first checks are over all may get requests.
      for (let row = 0, sent = 0; row < 6 && sent < 300; sent += 1) {
        const { backend } = await ask(ports.port ?? 0, { line: "/" });
        row = backend === "a" ? row + 1 : 0;
      }
      for (let sent = 0; sent < 8; sent += 1)
        t.equal((await ask(ports.port ?? 0, { line: "/" })).backend, "a", who);
    });
});

test("bootstrap: weir and Envoy split by the same weights", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const text = filled(WEIGHTED, ports);
  for (const who of ["weir", program]) {
    const counts = await served(t, who, text, ports, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 4 });
      const found: Record<string, number> = {};
      const lane = async (): Promise<void> => {
        for (let sent = 0; sent < 500; sent += 1) {
          const backend = await statusOf(ports.port ?? 0, "/", agent);
          found[backend] = (found[backend] ?? 0) + 1;
        }
      };
      await Promise.all(Array.from({ length: 4 }, lane));
      agent.destroy();
      return found;
    });
    const { a = 0, b = 0, ...others } = counts;
    t.strictSame(others, {}, "weight 0 gets nothing, and nothing fails");
    t.equal(a + b, 2000);
    // Four standard deviations of 2 000 picks at a quarter.
    t.ok(Math.abs(b - 500) < 78, `${who === "weir" ? "weir" : "Envoy"}: ${b} of 2000 on the quarter`);
  }
});

test("bootstrap: weir and Envoy send the same copies to mirrors", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports: Record<string, number> = { ...(await backends(t)) };
  let copies: string[] = [];
  for (const name of ["b", "c", "d"]) ports[name] = await recorder(t, name, (copy) => copies.push(copy));
  const hosts = ["shop.example", "shop.example:8080", "[::1]:80"];
  const text = filled(MIRRORED, ports);
  const copiesOf = (who: string): Promise<readonly string[]> =>
    served(t, who, text, ports, async () => {
      copies = [];
      for (const host of hosts) {
        const seen = await ask(ports.port ?? 0, {
          line: "POST /thing?q=1",
          host,
          headers: ["content-length: 5"],
          body: "hello",
        });
        t.match(seen, { status: 200, backend: "a" });
      }
      for (const untilMs = Date.now() + TALK_MS; copies.length < 2 * hosts.length && Date.now() < untilMs; )
        await new Promise((resolve) => setTimeout(resolve, 20));
      return copies.sort();
    });
  const weir = await copiesOf("weir");
  t.strictSame(weir.slice(0, 2), [
    "b [::1]:80 POST /thing?q=1 hello",
    "b shop.example-shadow POST /thing?q=1 hello",
  ]);
  // Envoy puts the suffix behind an IPv6 address too, which makes it no address.
  t.strictSame(weir, (await copiesOf(program)).map((copy) => copy.replace("[::1]-shadow", "[::1]")).sort());
});

test("bootstrap: weir and Envoy write the same access log", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const folder = await mkdtemp(join(tmpdir(), "weir-log-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const linesOf = async (who: string, name: string): Promise<readonly unknown[]> => {
    const path = join(folder, name);
    const text = filled(LOGGED, ports).replace("{log}", path);
    return served(t, who, text, ports, async () => {
      const paths = [
        "/all?q=1",
        "/all/\\",
        "/slow",
        "/missing",
        "/empty",
        "/dead",
        "/none",
        "/error",
        "/again",
      ];
      for (const line of paths)
        await ask(ports.port ?? 0, { line, headers: ["user-agent: me/1", "x-request-id: q1"] });
      await ask(ports.port ?? 0, {
        line: "POST /all",
        headers: ["x-request-id: q2", "content-length: 5"],
        body: "hello",
      });
      await fetch(`http://127.0.0.1:${ports.admin}/reopen_logs`, { method: "POST" });
      let lines: string[] = [];
      for (const untilMs = Date.now() + TALK_MS; lines.length <= paths.length && Date.now() < untilMs; ) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        lines = (await readFile(path, "utf8")).trimEnd().split("\n");
      }
      return lines.map((line) => Object.entries(JSON.parse(line) as object).sort());
    });
  };
  const [weir, envoy] = [await linesOf("weir", "weir.log"), await linesOf(program, "envoy.log")];
  t.equal(weir.length, 10);
  // Where a route names a cluster that is not there, weir says which.
  t.strictSame(JSON.parse(JSON.stringify(weir).replace('["cluster","missing"]', '["cluster",null]')), envoy);
});
