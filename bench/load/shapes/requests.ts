// Requests against the rivals: CPU per request of small GETs (bare, everything on, with a browser's headers), large bodies, and what a
// proxy adds to one connection's latency.
import { estimate } from "../../lib/statistics.ts";
import { asked, type Column, type Rival, startOrigin, startRival } from "../contenders.ts";
import { cpuRatio, type Figure, type Outcome, type Shape, usageOf } from "../figures.ts";
import { type Rounds, type Sample, type Settings, takeRounds, wrkArm } from "../rounds.ts";
import { Stage } from "../stage.ts";
import type { Load } from "../wrk.ts";

const SMALL = 64;
const LARGE_CONNECTIONS = 16;
const MIB = 1024 * 1024;
const UPLOAD_BYTES = 100 * 1024;

/** What a browser sends. */
const BROWSER_HEADERS = [
  "User-Agent: Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
  "Cache-Control: no-cache",
  "Cookie: session=6f1d2c3b4a5968778695a4b3c2d1e0ff; theme=dark; consent=1",
  "DNT: 1",
  "Origin: https://shop4.example",
  "Pragma: no-cache",
  "Priority: u=0, i",
  "Referer: https://shop4.example/catalogue/shoes?page=3",
  'Sec-CH-UA: "Chromium";v="143", "Not A(Brand";v="24"',
  "Sec-CH-UA-Mobile: ?0",
  'Sec-CH-UA-Platform: "Linux"',
  "Sec-Fetch-Dest: document",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-User: ?1",
  "Upgrade-Insecure-Requests: 1",
];

interface Race {
  readonly column: Column;
  readonly rivals: readonly Rival[];
  readonly load: Partial<Load>;
  readonly figures: (rounds: Rounds<Sample>) => readonly Figure[];
}

export const requestShapes: readonly Shape[] = [
  {
    name: "bare",
    about: "small GET, 64 connections, one route",
    run: race({
      column: "bare",
      rivals: ["nginx", "haproxy", "weir", "envoy", "undici", "httpxy", "http-proxy"],
      load: { connections: SMALL },
      figures: (rounds) => [
        cpuRatio(rounds, ["weir", "haproxy"], { name: "CPU, small GET, c64, bare: to HAProxy" }),
        cpuRatio(rounds, ["weir", "nginx"], { name: "the same to nginx" }),
        cpuRatio(rounds, ["weir", "envoy"], { name: "the same to Envoy" }),
        ...["undici", "httpxy", "http-proxy"].map((rival) =>
          cpuRatio(rounds, ["weir", rival], { name: `the same to ${rival}` }),
        ),
      ],
    }),
  },
  {
    name: "full",
    about: "small GET, 64 connections, everything on",
    run: race({
      column: "full",
      rivals: ["nginx", "haproxy", "weir", "envoy"],
      load: { connections: SMALL },
      figures: (rounds) => [
        cpuRatio(rounds, ["weir", "haproxy"], {
          name: "CPU, small GET, c64, everything on: to HAProxy",
          goal: 1.1,
        }),
        cpuRatio(rounds, ["weir", "envoy"], { name: "the same to Envoy", goal: 0.45, stretch: 0.35 }),
        cpuRatio(rounds, ["weir", "nginx"], { name: "the same to nginx", stretch: 1 }),
      ],
    }),
  },
  {
    name: "headers",
    about: "the same with 20 headers of a browser",
    run: race({
      column: "full",
      rivals: ["nginx", "haproxy", "weir"],
      load: { connections: SMALL, headers: BROWSER_HEADERS },
      figures: (rounds) => [
        cpuRatio(rounds, ["weir", "haproxy"], { name: "CPU with 20 browser headers: to HAProxy", goal: 1.1 }),
        cpuRatio(rounds, ["weir", "nginx"], { name: "the same to nginx", stretch: 1 }),
      ],
    }),
  },
  {
    name: "download",
    about: "1 MiB responses against a tuned nginx",
    run: race({
      column: "tuned",
      rivals: ["nginx", "weir"],
      load: { connections: LARGE_CONNECTIONS, path: "/files/large" },
      figures: (rounds) => [
        cpuRatio(rounds, ["weir", "nginx"], {
          name: "CPU, 1 MiB response: to nginx with 64 KiB buffers",
          goal: 1,
          stretch: 0.8,
        }),
      ],
    }),
  },
  {
    name: "upload",
    about: "100 KiB POSTs against a tuned nginx",
    run: race({
      column: "tuned",
      rivals: ["nginx", "weir"],
      load: { connections: LARGE_CONNECTIONS, path: "/upload", bodyBytes: UPLOAD_BYTES },
      figures: (rounds) => [
        cpuRatio(rounds, ["weir", "nginx"], {
          name: "CPU, 100 KiB POST: to nginx with 64 KiB buffers",
          goal: 1.2,
          stretch: 1,
        }),
      ],
    }),
  },
  {
    name: "single",
    about: "latency of one connection, everything on",
    run: race({
      column: "full",
      rivals: ["nginx", "weir"],
      load: { connections: 1 },
      figures: (rounds) => [addedLatency(rounds)],
    }),
  },
];

function addedLatency({ nginx = [], weir = [] }: Rounds<Sample>): Figure {
  const added = weir.map(({ p50Us }, round) => p50Us - (nginx[round]?.p50Us ?? Number.NaN));
  return { name: "p50 at c1 beyond nginx's", unit: "us", seen: estimate(added), goal: 15, stretch: 8 };
}

function race({ column, rivals, load, figures }: Race): (settings: Settings) => Promise<Outcome> {
  return (settings) =>
    Stage.with(async (stage) => {
      const origin = await startOrigin(stage);
      await stage.folderFile("files", "large", Buffer.alloc(MIB, "x"));
      const arms = [];
      for (const rival of rivals) {
        const { program, port } = await startRival(stage, rival, column, origin);
        arms.push(wrkArm(rival, program, { connections: SMALL, ...asked(column), ...load, port }));
      }
      const rounds = await takeRounds(arms, settings);
      return { figures: figures(rounds), usage: usageOf(rounds), samples: rounds };
    });
}
