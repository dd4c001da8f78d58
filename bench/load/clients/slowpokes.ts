// Clients that hold a proxy up: a third sends its head byte by byte, a third its body, a third takes a long answer in sips. Those that are
// cut off come again. At the end of standard input it prints how long each kind was let live.
//
//   node bench/load/clients/slowpokes.ts PORT COUNT PATH-OF-A-LONG-ANSWER
import { connect, type Socket } from "node:net";

const KINDS = ["head", "body", "reader"] as const;
type Kind = (typeof KINDS)[number];

const STEP_MS = 1_000;
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
const open = new Map<Socket, { readonly kind: Kind; readonly sinceMs: number }>();
let isOver = false;

function join(kind: Kind): void {
  const sinceMs = performance.now();
  const socket = connect({
    port: Number(port),
    host: "127.0.0.1",
    noDelay: true,
    // One sip, then no more until the next step.
    onread: { buffer: Buffer.alloc(SIP_BYTES), callback: () => kind !== "reader" },
  });
  open.set(socket, { kind, sinceMs });
  socket.on("error", () => undefined);
  socket.on("end", () => socket.destroy());
  socket.on("connect", () => socket.write(begin[kind]));
  socket.on("close", () => {
    open.delete(socket);
    if (isOver) return;
    const tally = lived[kind];
    tally.gone += 1;
    tally.longestS = Math.max(tally.longestS, (performance.now() - sinceMs) / 1_000);
    setTimeout(() => join(kind), STEP_MS);
  });
}

function step(): void {
  for (const [socket, { kind }] of open) {
    if (kind === "reader") socket.resume();
    else socket.write("x");
  }
}

for (let index = 0; index < Number(count); index += 1) join(KINDS[index % KINDS.length] ?? "head");
setInterval(step, STEP_MS);
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
