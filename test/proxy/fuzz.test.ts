// Mutated requests against mutated answers over real sockets: whatever comes, no bug is caught, and nothing is left behind. A fixed seed and
// a fresh one, printed; longer by hand: `WEIR_FUZZ_RUNS=20000 node test/proxy/fuzz.test.ts`.
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { Dice } from "../../src/proxy/route/split.ts";
import { ACCEPTED, BAD_ANSWERS, REFUSED, RELAYED } from "./framing.cases.ts";
import { closedPort, eventually, type Json, type ProxyOptions, rawOrigin, startProxy } from "./support.ts";

const RUNS = Number(process.env.WEIR_FUZZ_RUNS ?? 1500);
const PARALLEL = 20;
const MAX_BYTES = 3_000;
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const isShort = (text: string): boolean => text.length < MAX_BYTES;
const REQUESTS = [
  ...REFUSED.map(([, input]) => input),
  ...ACCEPTED.map(([, input]) => input),
  ...RELAYED.map(([, , , request = GET]) => request),
].filter(isShort);
const ANSWERS = [...BAD_ANSWERS, ...RELAYED].map(([, answer]) => answer).filter(isShort);
const SNIPPETS = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  ":",
  "0\r\n\r\n",
  "5\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
];

interface Dump {
  readonly listeners: readonly { readonly connections: number }[];
  readonly clusters: readonly { readonly connections: number; readonly active: number }[];
}

/** What differs from one run to another; `route` is more of its action. */
type Options = Pick<ProxyOptions, "listenerFields" | "clusterFields"> & {
  readonly route: Readonly<Record<string, Json>>;
};

const PLAIN: Options = { route: {} };
/** Requests are held for retries and copies, endpoints come and go, and a client's FIN need not be the end. */
const EVERYTHING: Options = {
  route: {
    retry_policy: {
      retry_on: "5xx,reset,connect-failure",
      num_retries: 2,
      retry_back_off: { base_interval: "0.001s" },
    },
    request_mirror_policies: [{ cluster: "a" }],
    hash_policy: [{ cookie: { name: "seat", ttl: "0s" } }],
  },
  listenerFields: { metadata: { filter_metadata: { "weir.dev": { half_close: true } } } },
  clusterFields: {
    outlier_detection: {
      consecutive_5xx: 5,
      interval: "0.05s",
      base_ejection_time: "0.05s",
      max_ejection_percent: 100,
    },
    circuit_breakers: { thresholds: [{ max_connections: 30, max_requests: 40, max_pending_requests: 10 }] },
  },
};

for (const seed of [20_261, Math.floor(Math.random() * 2 ** 31)])
  for (const [name, options] of Object.entries({ plain: PLAIN, "everything on": EVERYTHING }))
    test(`fuzz: no mutation of requests and answers is a bug or leaves anything behind (${name}, seed ${seed})`, (t) =>
      run(t, new Dice(seed), options));

async function run(t: Test, dice: Dice, { route, ...options }: Options): Promise<void> {
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", () => sendMutated(socket, mutated(pickOf(ANSWERS, dice), dice), dice));
    socket.on("end", () => socket.end());
  });
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port, await closedPort()] },
    limits: { lingerMs: 30, poolIdleMs: 200 },
    routes: [
      { match: { prefix: "/" }, route: { cluster: "a", timeout: "0.3s", idle_timeout: "0.3s", ...route } },
    ],
    ...options,
    hasAdmin: true,
  });
  let left = RUNS / 2;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await converse(port, mutated(pickOf(REQUESTS, dice), dice), dice);
  };
  await Promise.all(Array.from({ length: PARALLEL }, () => worker()));
  await eventually(() => (proxy.stats()[0]?.inFlight ?? 0) === 0, "no request is left in progress");
  // The admin port's own answer; its form is asserted in admin.test.ts.
  const dump = async (): Promise<Dump> =>
    (await (await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump`)).json()) as Dump;
  let state = await dump();
  for (
    let turn = 0;
    turn < 200 && (state.listeners[0]?.connections || state.clusters[0]?.connections);
    turn++
  ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    state = await dump();
  }
  t.equal(state.listeners[0]?.connections, 0, "no client connection is left");
  t.equal(state.clusters[0]?.connections, 0, "no upstream connection is left");
  t.equal(state.clusters[0]?.active, 0);
  t.equal(proxy.internalErrors, 0);
  const values = proxy.stats()[0]?.values;
  const finished = values?.get("requests") ?? 0;
  t.ok(finished > 0, `${finished} requests ended with an answer or a failure`);
  t.equal(finished, (values?.get("success") ?? 0) + (values?.get("error") ?? 0));
}

function converse(port: number, input: Buffer, dice: Dice): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(), 100 + dice.below(400));
    socket.on("error", () => undefined);
    socket.on("data", () => undefined);
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
    sendMutated(socket, input, dice);
  });
}

/** Sends the bytes in two pieces, and now and then ends or resets behind them. */
function sendMutated(socket: Socket, bytes: Buffer, dice: Dice): void {
  const cut = dice.below(bytes.length + 1);
  socket.write(bytes.subarray(0, cut));
  setImmediate(() => {
    if (socket.destroyed) return;
    socket.write(bytes.subarray(cut));
    const end = dice.below(8);
    if (end === 0) socket.end();
    if (end === 1) socket.resetAndDestroy();
  });
}

function mutated(text: string, dice: Dice): Buffer {
  let bytes = Buffer.from(text, "latin1");
  for (let count = dice.below(4); count > 0; count--) {
    const at = dice.below(bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const kind = dice.below(4);
    if (kind === 0) bytes = Buffer.concat([before, Buffer.of(dice.below(256)), after.subarray(1)]);
    else if (kind === 1) bytes = Buffer.concat([before, after.subarray(dice.below(6))]);
    else if (kind === 2)
      bytes = Buffer.concat([before, Buffer.from(pickOf(SNIPPETS, dice), "latin1"), after]);
    else bytes = Buffer.concat([bytes, Buffer.from(pickOf(REQUESTS, dice), "latin1")]);
  }
  return bytes;
}

function pickOf<Item>(items: readonly Item[], dice: Dice): Item {
  const item = items[dice.below(items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}
