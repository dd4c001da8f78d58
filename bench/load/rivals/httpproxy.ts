// The npm package http-proxy, or httpxy which has the same interface, on node:http with keep-alive agents and a weighted choice: what a
// Node proxy commonly is. Arguments: package, port, origin port.
import { Agent, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";

interface Forwarder {
  on(
    event: "error",
    listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void,
  ): void;
  web(request: IncomingMessage, response: ServerResponse, options: { readonly target: string }): unknown;
}

const [name = "", port = "0", origin = "0"] = process.argv.slice(2);
// This is the part of the packages that is used; the older one has no types.
const httpProxy = createRequire(import.meta.url)(name) as {
  createProxyServer(options: object): Forwarder;
};
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
const proxy = httpProxy.createProxyServer({ agent, xfwd: true });
proxy.on("error", (_error, _request, response) => response.destroy());
createServer((request, response) => {
  const shift = Math.random() < 0.9 ? 0 : 1;
  proxy.web(request, response, { target: `http://127.0.0.1:${Number(origin) + shift}` });
}).listen(Number(port), "127.0.0.1");
