// What the proxy sends on is read the same by whoever stands behind it: Node's strict parser, nginx and HAProxy. And whatever one client sends,
// the others on the same connections get their own answers.
import { test } from "tap";
import { type ServerName, startServer } from "../support/servers.ts";
import { ACCEPTED, BAD_ANSWERS, REFUSED, RELAYED } from "./framing.cases.ts";
import { eventually, rawOrigin, recordingOrigin, type Seen, startProxy, talk } from "./support.ts";

const SERVERS: readonly ServerName[] = ["nginx", "haproxy"];
const WHOLE = /\r\n\r\n[\s\S]*$/;

/** What a server refuses of what HTTP allows: it reads nothing else there, and answers 4xx. */
const TOO_STRICT: Readonly<Record<ServerName, readonly string[]>> = {
  nginx: ["absolute target of OPTIONS without a path", "asterisk of OPTIONS"],
  haproxy: [],
};

const essence = ({ method, url, body, headers }: Seen) => ({
  method,
  url,
  body,
  host: headers.host,
  x: headers.x,
});

for (const name of SERVERS) {
  test(`behind: ${name} reads what is passed on as Node's strict parser does`, async (t) => {
    const direct = await recordingOrigin(t);
    const indirect = await recordingOrigin(t);
    const port = await startServer(t, name, indirect.port);
    if (port === undefined) return;
    const straight = await startProxy(t, { clusters: { a: [direct.port] } });
    const through = await startProxy(t, { clusters: { a: [port] } });
    const refused: string[] = [];
    for (const [label, input] of ACCEPTED) {
      direct.seen.length = 0;
      indirect.seen.length = 0;
      await talk(straight.port, input, { until: WHOLE });
      const { text } = await talk(through.port, input, { until: WHOLE });
      t.equal(direct.seen.length, 1, label);
      if (/^HTTP\/1\.1 4/.test(text) && indirect.seen.length === 0) refused.push(label);
      else t.strictSame(indirect.seen.map(essence), direct.seen.map(essence), label);
    }
    t.strictSame(refused, TOO_STRICT[name]);
  });
}

for (const name of ["node", ...SERVERS] as const) {
  test(`behind: after every message others on the same connections get their own answers, from ${name}`, async (t) => {
    const origin = await recordingOrigin(t, ({ url }, response) => response.end(`for ${url}`));
    const port = name === "node" ? origin.port : await startServer(t, name, origin.port);
    if (port === undefined) return;
    const proxy = await startProxy(t, { clusters: { a: [port] }, limits: { lingerMs: 20 } });
    let turn = 0;
    for (const [index, [label, input]] of [...REFUSED, ...ACCEPTED].entries()) {
      origin.seen.length = 0;
      // The message, with a request behind it that must never be taken for somebody else's.
      await talk(proxy.port, `${input}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`, { until: WHOLE });
      const got = await Promise.all([own(proxy.port, ++turn), own(proxy.port, ++turn)]);
      t.strictSame(got, [`for /own-${turn - 1}`, `for /own-${turn}`], label);
      // Nothing behind a refused request is processed, whatever it looks like.
      if (index < REFUSED.length) t.equal(origin.seen.length, 2, label);
    }
  });
}

test("behind: after every answer others on the same connections get their own answers", async (t) => {
  const answers = [...BAD_ANSWERS, ...RELAYED].map(([label, answer]) => [label, answer] as const);
  let answer = "";
  const origin = await rawOrigin(t, (socket) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const [, url = ""] = text.split(" ");
        text = text.slice(end + 4);
        const body = `for ${url}`;
        if (url === "/evil") socket.write(Buffer.from(answer, "latin1"));
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      }
    });
  });
  const proxy = await startProxy(t, { clusters: { a: [origin.port] } });
  let turn = 0;
  for (const [label, text] of answers) {
    for (const method of ["GET", "HEAD"]) {
      answer = text;
      await talk(proxy.port, `${method} /evil HTTP/1.1\r\nHost: a\r\n\r\n`, { until: WHOLE });
      const got = await Promise.all([own(proxy.port, ++turn), own(proxy.port, ++turn)]);
      t.strictSame(got, [`for /own-${turn - 1}`, `for /own-${turn}`], `${label} to ${method}`);
    }
  }
  await eventually(() => proxy.proxy.stats()[0]?.inFlight === 0, "nothing is left");
});

async function own(port: number, turn: number): Promise<string> {
  const { text } = await talk(port, `GET /own-${turn} HTTP/1.1\r\nHost: a\r\n\r\n`, {
    until: /for \/own-\d+$/,
  });
  return text.slice(text.indexOf("\r\n\r\n") + 4).replace(/^[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, "");
}
