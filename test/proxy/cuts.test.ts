// Wherever the network cuts a message, it means the same: every case of the framing table, cut at every byte, in both directions, in process.
import { type Test, test } from "tap";
import { ACCEPTED, BAD_ANSWERS, REFUSED, RELAYED } from "./framing.cases.ts";
import { MemoryProxy, type Outcome } from "./inprocess.ts";
import { type Message, readAnswers, readRequests } from "./reference.ts";
import { undated } from "./support.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/** Beyond it only so many cuts are tried. */
const LONG = 600;

/** Two pieces at every place, then byte by byte. */
function* cutsOf(text: string): Generator<readonly string[]> {
  const step = text.length > LONG ? Math.ceil(text.length / 100) : 1;
  for (let at = 1; at < text.length; at += step) yield [text.slice(0, at), text.slice(at)];
  if (text.length <= LONG) yield [...text];
}

const bytesOf = (pieces: readonly string[]): Buffer[] => pieces.map((piece) => Buffer.from(piece, "latin1"));

/** What went upstream, whatever the chunks it was sent in; and what the client got. */
function meaning({ client, upstreams }: Outcome): {
  readonly requests: readonly (readonly Message[])[];
  readonly rests: readonly boolean[];
  readonly client: Outcome["client"];
} {
  const read = upstreams.map(({ text }) => readRequests(text));
  for (const { wrong } of read) if (wrong !== "") throw new Error(`sent upstream: ${wrong}`);
  return {
    requests: read.map(({ messages }) => messages).filter((messages) => messages.length > 0),
    rests: read.map(({ rest }) => rest !== ""),
    client: { ...client, text: undated(client.text) },
  };
}

function same(t: Test, name: string, found: unknown, wanted: unknown): boolean {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a === b) return true;
  t.equal(a, b, name);
  return false;
}

test("cuts: a request that is passed on arrives as the same wherever it is cut", (t) => {
  const proxy = new MemoryProxy();
  let runs = 0;
  for (const [name, input] of ACCEPTED) {
    const whole = meaning(proxy.run(bytesOf([input]), () => [OK]));
    t.equal(whole.requests.flat().length, 1, `${name}: one request`);
    t.match(whole.client.text, /^HTTP\/1\.1 200 /, name);
    for (const pieces of cutsOf(input)) {
      runs += 1;
      if (!same(t, `${name} at ${pieces[0]?.length}`, meaning(proxy.run(bytesOf(pieces), () => [OK])), whole))
        break;
    }
  }
  t.ok(runs > 1_500, `${runs} cuts`);
  t.end();
});

test("cuts: a request that is refused is refused as the same wherever it is cut, and never whole upstream", (t) => {
  const proxy = new MemoryProxy();
  let runs = 0;
  for (const [name, input, status] of REFUSED) {
    for (const pieces of cutsOf(input)) {
      runs += 1;
      const { client, upstreams } = proxy.run(bytesOf(pieces), () => [OK]);
      const isRefused = client.text.startsWith(`HTTP/1.1 ${status} `) && client.end !== "open";
      const isWhole = upstreams.some(({ text }) => readRequests(text).messages.length > 0);
      const isLeft = upstreams.some(({ end }) => end !== "reset");
      if (isRefused && !isWhole && !isLeft) continue;
      t.strictSame({ client, upstreams }, status, `${name} at ${pieces[0]?.length}`);
      break;
    }
  }
  t.ok(runs > 3_000, `${runs} cuts`);
  t.end();
});

test("cuts: an answer reaches the client as the same wherever it is cut", (t) => {
  const proxy = new MemoryProxy();
  let runs = 0;
  for (const [name, answer, , request = GET] of RELAYED) {
    const method = request.slice(0, request.indexOf(" "));
    const read = ({ client }: Outcome): unknown => ({
      ...readAnswers(client.text, [method], client.end !== "open"),
      end: client.end,
    });
    const whole = read(proxy.run(bytesOf([request]), () => [answer]));
    for (const pieces of cutsOf(answer)) {
      runs += 1;
      if (
        !same(t, `${name} at ${pieces[0]?.length}`, read(proxy.run(bytesOf([request]), () => pieces)), whole)
      )
        break;
    }
  }
  t.ok(runs > 1_000, `${runs} cuts`);
  t.end();
});

test("cuts: a malformed answer is a 502 wherever it is cut, and its connection is reset", (t) => {
  const proxy = new MemoryProxy();
  let runs = 0;
  for (const [name, answer] of BAD_ANSWERS) {
    for (const pieces of cutsOf(answer)) {
      runs += 1;
      const { client, upstreams } = proxy.run(bytesOf([GET]), () => pieces);
      const isRefused = /^(?:HTTP\/1\.1 103 [\s\S]*)?HTTP\/1\.1 502 /.test(client.text);
      if (isRefused && upstreams.every(({ end }) => end === "reset")) continue;
      t.strictSame({ client, upstreams }, 502, `${name} at ${pieces[0]?.length}`);
      break;
    }
  }
  t.ok(runs > 500, `${runs} cuts`);
  t.end();
});
