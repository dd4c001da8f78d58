// A backend that tells what it got, as a process of its own: `node test/support/echo.ts NAME`, listening on $PORT. Answers each request with
// JSON {backend, method, url, headers, body}; `GET /seen` gives all requests so far that were not for /seen. Words in the query change the
// answer: `status=503` its status, `delay=200` when it comes (milliseconds), `first=2` applies both to that many first requests of the path only.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createNetServer } from "node:net";

interface Echoed {
  readonly backend: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const backend = process.argv[2] ?? "echo";
const seen: Echoed[] = [];
const times = new Map<string, number>();

const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString("latin1");
  });
  request.once("end", () => {
    const { method = "", url = "", headers } = request;
    answer({ backend, method, url, headers, body }, response);
  });
});
/** With the name `stuck`: connections are taken and never read from. */
const stuck = createNetServer({ pauseOnConnect: true });
(backend === "stuck" ? stuck : server).listen(Number(process.env.PORT), "127.0.0.1");
process.once("SIGTERM", () => process.exit(0));

function answer(echoed: Echoed, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(echoed.url, "http://echo");
  if (pathname === "/seen") return void response.end(JSON.stringify(seen));
  seen.push(echoed);
  const time = (times.get(pathname) ?? 0) + 1;
  times.set(pathname, time);
  const isAffected = time <= Number(searchParams.get("first") ?? Number.POSITIVE_INFINITY);
  const status = isAffected ? Number(searchParams.get("status") ?? 200) : 200;
  const delayMs = isAffected ? Number(searchParams.get("delay") ?? 0) : 0;
  setTimeout(() => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(echoed));
  }, delayMs);
}
