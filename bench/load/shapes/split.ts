// Whether the split is the one that is set: 100 000 requests at 1, 5, 33 and 99.9 %, by chance and by key, over one connection, so that they are
// drawn in the order in which they are answered. No time is measured: how busy the machine is does not matter.
import { connect } from "node:net";
import { binomialP, periodP } from "../../../test/support/binomial.ts";
import { startOrigin, startWeir } from "../contenders.ts";
import type { Figure, Outcome, Shape } from "../figures.ts";
import { bootstrap, cluster, type Json } from "../rivals/bootstrap.ts";
import type { Settings } from "../rounds.ts";
import { freePorts, Stage } from "../stage.ts";

const REQUESTS = 100_000;
const TRY_REQUESTS = 2_000;
/** Of ten thousand. */
const WEIGHTS = [100, 500, 3_300, 9_990];
const SCALE = 10_000;
const LAGS = 300;
/** Requests that are on their way at a time. */
const WINDOW = 128;
/** Bounds as powers of ten: of each count, and of each of the many lags. */
const UNLIKELY = 6;
const PERIODIC = 8;

interface Drawn {
  readonly weight: number;
  /** 1 for each request that the canary got. */
  readonly series: Uint8Array;
  readonly count: number;
}

export const splitShapes: readonly Shape[] = [
  { name: "split", about: "100 000 requests at each weight, by chance and by key", run },
];

async function run(settings: Settings): Promise<Outcome> {
  const requests = settings.rounds === 1 ? TRY_REQUESTS : REQUESTS;
  return Stage.with(async (stage) => {
    const origin = await startOrigin(stage);
    const port = await freePorts(2);
    const weights = [0, ...WEIGHTS];
    const virtualHosts = weights.flatMap((weight) => [host(weight, false), host(weight, true)]);
    const clusters = [cluster("v1", origin), cluster("v2", origin + 1)];
    const manager = { generate_request_id: false };
    const parts = { port, adminPort: port + 1, virtualHosts, clusters, manager };
    await startWeir(stage, port, bootstrap(parts), { host: nameOf(0, false), path: "/" });
    const draw = async (isKeyed: boolean): Promise<Drawn[]> => {
      const drawn: Drawn[] = [];
      for (const weight of weights) {
        const series = await served(port, nameOf(weight, isKeyed), requests);
        drawn.push({ weight, series, count: series.reduce((sum, one) => sum + one, 0) });
        console.error(`  ${nameOf(weight, isKeyed)}`);
      }
      return drawn;
    };
    const [byChance, byKey] = [await draw(false), await draw(true)];
    return {
      figures: [
        shareFigure("by chance", byChance),
        shareFigure("by key", byKey),
        periodFigure(byChance),
        noneFigure([...byChance, ...byKey]),
      ],
      samples: {
        requests,
        byChance: byChance.map(({ weight, count }) => ({ weight, count })),
        byKey: byKey.map(({ weight, count }) => ({ weight, count })),
      },
    };
  });
}

const nameOf = (weight: number, isKeyed: boolean): string => `w${weight}.${isKeyed ? "key" : "chance"}`;

function host(weight: number, isKeyed: boolean): Json {
  const marked = (name: string, share: number, mark: string): Json => ({
    name,
    weight: share,
    response_headers_to_add: [{ header: { key: "x-v", value: mark } }],
  });
  const clusters = [marked("v2", weight, "b"), marked("v1", SCALE - weight, "a")];
  const name = nameOf(weight, isKeyed);
  const keys = isKeyed ? { hash_policy: [{ header: { header_name: "x-user" } }] } : {};
  const action = { weighted_clusters: { clusters, ...(isKeyed && { use_hash_policy: true }) }, ...keys };
  const metadata = { filter_metadata: { "weir.dev": { salt: `bench/split/${weight}` } } };
  return { name, domains: [name], routes: [{ name, match: { prefix: "/" }, route: action, metadata }] };
}

/** Which version served each of so many requests of users of their own, in their order. */
function served(port: number, host: string, requests: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const series = new Uint8Array(requests);
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let [sent, answered, rest] = [0, 0, ""];
    const send = (): void => {
      let text = "";
      for (; sent < requests && sent - answered < WINDOW; sent += 1)
        text += `GET / HTTP/1.1\r\nHost: ${host}\r\nX-User: user-${sent}\r\n\r\n`;
      if (text !== "") socket.write(text);
    };
    socket.on("connect", send);
    socket.on("data", (chunk: Buffer) => {
      rest += chunk.toString("latin1");
      let end = 0;
      for (const { index, 0: line, 1: mark } of rest.matchAll(/\r\nx-v: ([ab])\r\n/g)) {
        series[answered++] = mark === "b" ? 1 : 0;
        end = index + line.length;
      }
      // A line that is cut comes whole with the next piece.
      rest = rest.slice(Math.max(end, rest.length - 16));
      if (answered < requests) send();
      else {
        socket.destroy();
        resolve(series);
      }
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`${host}: closed after ${answered} answers`)));
  });
}

function shareFigure(how: string, drawn: readonly Drawn[]): Figure {
  const split = drawn.filter(({ weight }) => weight > 0);
  const unlikeliest = Math.max(...split.map(unlikelihood));
  const counts = split.map(({ weight, count }) => `${weight / 100} %: ${count}`).join(", ");
  return {
    name: `split of ${split[0]?.series.length} requests ${how}: -log10 of the least p (exact binomial)`,
    unit: "",
    seen: exactly(unlikeliest),
    goal: UNLIKELY,
    note: counts,
  };
}

function unlikelihood({ weight, count, series }: Drawn): number {
  return -Math.log10(Math.max(binomialP(count, series.length, weight / SCALE), Number.MIN_VALUE));
}

function periodFigure(drawn: readonly Drawn[]): Figure {
  const unlikeliest = Math.max(
    ...drawn
      .filter(({ weight }) => weight > 0)
      .flatMap(({ weight, series }) =>
        Array.from({ length: LAGS }, (_, lag) => periodP(series, weight / SCALE, lag + 1)),
      )
      .map((p) => -Math.log10(Math.max(p, Number.MIN_VALUE))),
  );
  return {
    name: `the same for any period up to ${LAGS} requests`,
    unit: "",
    seen: exactly(unlikeliest),
    goal: PERIODIC,
    note: `of ${WEIGHTS.length * LAGS} looks`,
  };
}

function noneFigure(drawn: readonly Drawn[]): Figure {
  const none = drawn.filter(({ weight }) => weight === 0);
  const count = none.reduce((sum, one) => sum + one.count, 0);
  const requests = none.reduce((sum, one) => sum + one.series.length, 0);
  return {
    name: "requests of a version of weight 0",
    unit: "",
    seen: exactly(count),
    goal: 0,
    note: `of ${requests}`,
  };
}

const exactly = (value: number) => ({ median: value, low: value, high: value });
