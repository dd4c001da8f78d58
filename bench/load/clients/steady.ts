// Open-loop load at a rate that leaves room: requests are due on time whatever the answers do, and their latency counts from when they
// were due. Prints one JSON line.
//
//   node bench/load/clients/steady.ts PORT RATE SECONDS CONNECTIONS [HOST] [PATH]
import { connect, type Socket } from "node:net";

interface Connection {
  readonly socket: Socket;
  dueMs: number;
  answer: string;
}

const TICK_MS = 1;
const WARM_MS = 500;
const DRAIN_MS = 2_000;

const [port = "0", rate = "0", seconds = "0", connections = "0", host = "127.0.0.1", path = "/"] =
  process.argv.slice(2);
const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
const latenciesMs: number[] = [];
const free: Connection[] = [];
const waiting: number[] = [];
let inFlight = 0;
let failed = 0;

async function main(): Promise<void> {
  for (let index = 0; index < Number(connections); index += 1) free.push(await opened());
  const startMs = performance.now();
  const endMs = startMs + Number(seconds) * 1_000;
  const gapMs = 1_000 / Number(rate);
  let nextMs = startMs;
  const timer = setInterval(() => {
    const now = Math.min(performance.now(), endMs);
    for (; nextMs <= now; nextMs += gapMs) waiting.push(nextMs);
    send();
    if (now >= endMs) clearInterval(timer);
  }, TICK_MS);
  await until(() => performance.now() > endMs);
  await until(() => (inFlight === 0 && waiting.length === 0) || performance.now() > endMs + DRAIN_MS);
  report(startMs);
  process.exit(0);
}

function send(): void {
  while (waiting.length > 0) {
    const connection = free.pop();
    if (connection === undefined) return;
    connection.dueMs = waiting.shift() ?? 0;
    connection.answer = "";
    inFlight += 1;
    connection.socket.write(request);
  }
}

function onData(connection: Connection, chunk: Buffer): void {
  connection.answer += chunk.toString("latin1");
  const head = connection.answer.indexOf("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(connection.answer)?.[1] ?? 0);
  if (head < 0 || connection.answer.length < head + 4 + length) return;
  inFlight -= 1;
  if (!connection.answer.startsWith("HTTP/1.1 200")) failed += 1;
  latenciesMs.push(performance.now() - connection.dueMs);
  free.push(connection);
  send();
}

async function opened(): Promise<Connection> {
  const socket = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
  const connection: Connection = { socket, dueMs: 0, answer: "" };
  socket.on("data", (chunk: Buffer) => onData(connection, chunk));
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("connect", resolve));
  // A request that was under way on it has failed; the others go on without it.
  socket.on("close", () => {
    const index = free.indexOf(connection);
    if (index >= 0) free.splice(index, 1);
    else {
      failed += 1;
      inFlight -= 1;
    }
  });
  return connection;
}

function until(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!holds()) return;
      clearInterval(timer);
      resolve();
    }, 5);
  });
}

/** Latencies without those of the first half second, in which connections warm. */
function report(startMs: number): void {
  const counted = performance.now() - startMs > 3 * WARM_MS ? Math.ceil((WARM_MS / 1_000) * Number(rate)) : 0;
  const sorted = latenciesMs.slice(counted).sort((a, b) => a - b);
  const at = (q: number): number =>
    Math.round((sorted[Math.ceil(q * sorted.length) - 1] ?? Number.NaN) * 1_000);
  const late = inFlight + waiting.length;
  console.log(
    JSON.stringify({ requests: latenciesMs.length, p50Us: at(0.5), p99Us: at(0.99), errors: failed + late }),
  );
}

await main();
