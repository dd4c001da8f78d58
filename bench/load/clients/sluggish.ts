// An origin that is slow (answers after so many ms) or hung (reads and never answers), cheap enough not to disturb the load beside it.
//
//   node bench/load/clients/sluggish.ts PORT slow|hung [MS]
import { createServer, type Socket } from "node:net";
import { constants, setPriority } from "node:os";

const [port = "0", kind = "slow", delay = "10"] = process.argv.slice(2);
const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
const due: { readonly atMs: number; readonly socket: Socket }[] = [];

// The load and the origin on the same CPU are what is measured.
setPriority(constants.priority.PRIORITY_LOW);
createServer({ noDelay: true }, (socket) => {
  let isFirst = true;
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    // The bench asks whether it is there; that is answered.
    const isKnock = isFirst && chunk.includes("GET /knock");
    isFirst = false;
    if (isKnock) socket.write(answer);
    else if (kind === "slow") due.push({ atMs: performance.now() + Number(delay), socket });
  });
}).listen(Number(port), "127.0.0.1");

if (kind === "slow")
  setInterval(() => {
    const now = performance.now();
    while ((due[0]?.atMs ?? Number.POSITIVE_INFINITY) <= now) due.shift()?.socket.write(answer);
  }, 1);
