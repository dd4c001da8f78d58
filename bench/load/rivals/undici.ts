// node:http in front, undici's pools behind, bodies piped, a weighted choice: a Node proxy that somebody would write by hand.
// Arguments: port, origin port.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { type Dispatcher, Pool } from "undici";

/** As many connections as clients keep open in the bench, and no more. */
const CONNECTIONS = 64;
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"]);

const [port = "0", origin = "0"] = process.argv.slice(2);
const pools = [0, 1].map(
  (shift) => new Pool(`http://127.0.0.1:${Number(origin) + shift}`, { connections: CONNECTIONS }),
);

async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pool = pools[Math.random() < 0.9 ? 0 : 1];
  const method = request.method ?? "GET";
  const hasBody = method !== "GET" && method !== "HEAD";
  const answer = await pool?.request({
    path: request.url ?? "/",
    // Node's parser lets known methods through only.
    method: method as Dispatcher.HttpMethod,
    headers: { ...endToEnd(request.headers), "x-forwarded-for": request.socket.remoteAddress ?? "" },
    body: hasBody ? request : null,
  });
  if (answer === undefined) return;
  response.writeHead(answer.statusCode, endToEnd(answer.headers));
  pipeline(answer.body, response, () => undefined);
}

function endToEnd<T>(headers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

createServer((request, response) => {
  forward(request, response).catch(() => response.destroy());
}).listen(Number(port), "127.0.0.1");
