// Clients that hold a proxy up: a third sends its head byte by byte, a third its body, a third takes a long answer in sips. Those that are
// cut off come again. They come, and act, spread over time: all at one moment they would measure a burst. At the end of standard input it
// prints how long each kind was let live.
//
//   node bench/load/clients/slowpokes.ts PORT COUNT PATH-OF-A-LONG-ANSWER
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { constants, setPriority } from "node:os";

const KINDS = ["head", "body", "reader"] as const;
type Kind = (typeof KINDS)[number];

/** Each client acts once in a step, which is walked through in so many turns. */
const STEP_MS = 1_000;
const TURNS = 50;
/** Over which those of a kind arrive: as long as a proxy lets them live, so that none of its seconds sees more of them come and go than others. */
const ARRIVAL_MS: Readonly<Record<Kind, number>> = { head: 10_000, body: 20_000, reader: 60_000 };
/** A sip per step: below any rate that a proxy should put up with. */
const SIP_BYTES = 256;

const [port = "0", count = "0", path = "/"] = process.argv.slice(2);
const begin: Readonly<Record<Kind, string>> = {
  head: "GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
  body: "POST /upload HTTP/1.1\r\nHost: slow\r\nContent-Length: 100000\r\n\r\n",
  reader: `GET ${path} HTTP/1.1\r\nHost: slow\r\n\r\n`,
};
const lived: Record<Kind, { gone: number; longestS: number }> = {
  head: { gone: 0, longestS: 0 },
  body: { gone: 0, longestS: 0 },
  reader: { gone: 0, longestS: 0 },
};
const open = new Map<Socket, { readonly kind: Kind; readonly turn: number; readonly sinceMs: number }>();
let isOver = false;
let now = 0;

function join(kind: Kind, turn: number): void {
  const sinceMs = performance.now();
  const socket = connect({
    port: Number(port),
    host: "127.0.0.1",
    noDelay: true,
    // One sip, then no more until the next step.
    onread: { buffer: Buffer.alloc(SIP_BYTES), callback: () => kind !== "reader" },
  });
  open.set(socket, { kind, turn, sinceMs });
  socket.on("error", () => undefined);
  socket.on("end", () => socket.destroy());
  socket.on("connect", () => socket.write(begin[kind]));
  socket.on("close", () => {
    open.delete(socket);
    if (isOver) return;
    const tally = lived[kind];
    tally.gone += 1;
    tally.longestS = Math.max(tally.longestS, (performance.now() - sinceMs) / 1_000);
    setTimeout(() => join(kind, turn), STEP_MS);
  });
}

function act(): void {
  now = (now + 1) % TURNS;
  if (now === 0) dropReset();
  for (const [socket, { kind, turn }] of open) {
    if (turn !== now) continue;
    if (kind === "reader") socket.resume();
    else socket.write("x");
  }
}

/**
 * A reader with bytes left in its kernel's buffer is not told of a reset before it has read them all, which at its pace takes minutes. The
 * kernel knows: its connection is no longer established.
 */
function dropReset(): void {
  const established = new Set<number>();
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n")) {
    const [, local = "", remote = "", state] = line.trim().split(/\s+/);
    if (state === "01" && Number.parseInt(remote.split(":")[1] ?? "", 16) === Number(port))
      established.add(Number.parseInt(local.split(":")[1] ?? "", 16));
  }
  for (const [socket, { kind }] of open)
    if (kind === "reader" && !socket.connecting && !established.has(socket.localPort ?? 0)) socket.destroy();
}

// The load and the origin beside it are what is measured: this waits for them, and for nothing as exact as their latency.
setPriority(constants.priority.PRIORITY_LOW);
const size = Number(count);
for (let index = 0; index < size; index += 1) {
  const kind = KINDS[index % KINDS.length] ?? "head";
  setTimeout(() => join(kind, index % TURNS), (index * ARRIVAL_MS[kind]) / size);
}
setInterval(act, STEP_MS / TURNS);
console.log("begun");
process.stdin.resume();
process.stdin.on("end", () => {
  isOver = true;
  // Those that nobody cut off count with the age they have reached.
  for (const { kind, sinceMs } of open.values())
    lived[kind].longestS = Math.max(lived[kind].longestS, (performance.now() - sinceMs) / 1_000);
  console.log(JSON.stringify(lived));
  process.exit(0);
});
