// Messages from a grammar, spoilt and cut by lot, through a proxy in process. Whatever comes: nothing that goes on can be read in two ways, every
// answer belongs to its request, cuts change nothing, and nothing is left behind. Fixed seeds and a fresh one, printed; longer by hand:
// `npm run test:fuzz`. A failure prints what to run again.
import { type Test, test } from "tap";
import { Dice } from "../../src/proxy/route/split.ts";
import { answerOf, inPieces, requestsOf, spoilt } from "./grammar.ts";
import { MemoryProxy, type Outcome } from "./inprocess.ts";
import { type Message, readAnswers, readMixedAnswers, readRequests } from "./reference.ts";
import { undated } from "./support.ts";

const RUNS = Number(process.env.WEIR_FUZZ_RUNS ?? 1500);
const SEEDS = [1, 20_261_122, 77, Math.floor(Math.random() * 2 ** 31)];
const MARK = "echo ";

const bytesOf = (pieces: readonly string[]): Buffer[] => pieces.map((piece) => Buffer.from(piece, "latin1"));
const targetOf = (start: string): string => start.split(" ")[1] ?? "";

/** Answers with the target of the request. */
function echo(_index: number, start: string): readonly string[] {
  const body = `${MARK}${targetOf(start)}`;
  return [
    `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${start.startsWith("HEAD ") ? "" : body}`,
  ];
}

for (const seed of SEEDS) {
  test(`grammar: requests (seed ${seed})`, (t) => {
    const dice = new Dice(seed);
    const proxy = new MemoryProxy();
    const seen = { passed: 0, refused: 0 };
    for (let run = 0; run < RUNS; run++) {
      const input = spoilt(requestsOf(dice), dice);
      const pieces = inPieces(input, dice);
      const wrong = wrongRequests(proxy, input, pieces, seen);
      if (wrong === "") continue;
      t.fail(`run ${run}: ${wrong}`, { input: JSON.stringify(input), pieces: JSON.stringify(pieces) });
      break;
    }
    t.ok(
      seen.passed > RUNS / 10 && seen.refused > RUNS / 10,
      `both kinds were there: ${JSON.stringify(seen)}`,
    );
    t.end();
  });

  test(`grammar: answers (seed ${seed})`, (t) => answers(t, new Dice(seed)));
}

/** What of the rules does not hold; empty: all does. */
function wrongRequests(
  proxy: MemoryProxy,
  input: string,
  pieces: readonly string[],
  seen: { passed: number; refused: number },
): string {
  const whole = proxy.run(bytesOf([input]), echo);
  const cut = proxy.run(bytesOf(pieces), echo);
  for (const { upstreams, client } of [whole, cut]) {
    const requests: Message[] = [];
    for (const { text, end } of upstreams) {
      const read = readRequests(text);
      if (read.wrong !== "") return `sent upstream: ${read.wrong}`;
      // What is not whole may be on its way still; when the client was told so, it must have been cut off.
      if (read.rest !== "" && client.end !== "open" && end !== "reset")
        return "a part of a request was left upstream";
      requests.push(...read.messages);
    }
    const told = readMixedAnswers(client.text, methodsOf(requests), client.end !== "open");
    if (told.wrong !== "" || told.rest !== "") return `sent to the client: ${told.wrong} ${told.rest}`;
    const echoed = told.messages.filter(({ fields }) => !fields.some(([name]) => name === "x-weir-reason"));
    if (echoed.length !== requests.length) return `${requests.length} requests, ${echoed.length} answers`;
    for (const [index, { body }] of echoed.entries()) {
      const start = requests[index]?.start ?? "";
      if (!start.startsWith("HEAD ") && body !== MARK + targetOf(start))
        return `${start} was answered by ${body}`;
    }
    seen.passed += requests.length;
    if (echoed.length < told.messages.length) seen.refused += 1;
  }
  const [a, b] = [essence(whole), essence(cut)];
  return a === b ? "" : `cuts matter:\n${a}\n${b}`;
}

function methodsOf(requests: readonly Message[]): string[] {
  return requests.map(({ start }) => start.slice(0, start.indexOf(" ")));
}

function essence({ client, upstreams }: Outcome): string {
  const requests = upstreams.flatMap(({ text }) => readRequests(text).messages);
  return JSON.stringify({
    client: undated(client.text),
    end: client.end,
    requests,
  });
}

function answers(t: Test, dice: Dice): void {
  const proxy = new MemoryProxy();
  const seen = { passed: 0, refused: 0, cut: 0 };
  for (let run = 0; run < RUNS; run++) {
    const method = ["GET", "HEAD", "POST"][dice.below(3)] ?? "GET";
    const answer = spoilt(answerOf(dice), dice);
    const wrong =
      wrongAnswer(proxy, method, [answer], seen) || wrongAnswer(proxy, method, inPieces(answer, dice), seen);
    if (wrong === "") continue;
    t.fail(`run ${run}: ${wrong}`, { method, answer: JSON.stringify(answer) });
    break;
  }
  t.ok(
    seen.passed > RUNS / 20 && seen.refused > RUNS / 20 && seen.cut > 0,
    `all kinds were there: ${JSON.stringify(seen)}`,
  );
  t.end();
}

function wrongAnswer(
  proxy: MemoryProxy,
  method: string,
  pieces: readonly string[],
  seen: { passed: number; refused: number; cut: number },
): string {
  const first = `${method} /evil HTTP/1.1\r\nHost: a\r\n${method === "POST" ? "Content-Length: 2\r\n\r\nok" : "\r\n"}`;
  const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
  const { client } = proxy.run(bytesOf([first, next]), (index, start) =>
    start.includes("/evil") ? pieces : echo(index, start),
  );
  if (client.end === "reset") {
    seen.cut += 1;
    return "";
  }
  const isOver = client.end !== "open";
  const { messages, rest, wrong } = readAnswers(client.text, [method, "GET"], isOver);
  if (wrong !== "") return `sent to the client: ${wrong}`;
  const finals = messages.filter(({ start }) => !start.startsWith("HTTP/1.1 1"));
  if (messages.some(({ start }) => start.includes(" 101 "))) return "101 was passed on";
  const [one, two] = finals;
  if (one?.start.startsWith("HTTP/1.1 502")) seen.refused += 1;
  else if (one !== undefined) seen.passed += 1;
  // The first answer may be waited for still; the second, if there is one, is its own.
  if (two === undefined)
    return isOver || one === undefined || rest !== "" ? "" : "the second request got no answer";
  return two.body === `${MARK}/next` ? "" : `the second request got ${JSON.stringify(two)}`;
}
