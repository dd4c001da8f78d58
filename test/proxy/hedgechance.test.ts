// Hedged requests under chance: connections stand late or never, answers come in any order, good, bad, broken, in pieces, or not at all. The first
// good head is always the client's, a bad one never while another try may still answer, and nothing is left behind.
import { test } from "tap";
import { Dice } from "../../src/proxy/route/split.ts";
import { HedgedProxy, INTERIM, type MemoryWire } from "./hedgedproxy.ts";

const HISTORIES = 800;
const STEPS = 24;
const REQUEST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

/** One request, and what the test does to it. */
interface History {
  readonly proxy: HedgedProxy;
  readonly client: MemoryWire;
  readonly dice: Dice;
  readonly told: string[];
  /** Tries beyond the first that the policy and the bound allow. */
  readonly mostRetries: number;
}

function historyOf(seed: number): History {
  const dice = new Dice(seed);
  const [retries, maxRetries] = [dice.below(4), dice.below(4)];
  const policy = { retry_on: "5xx,reset", num_retries: retries };
  const proxy = new HedgedProxy({ seed, policy, cluster: { maxRetries } });
  const client = proxy.join();
  proxy.deliver(client, REQUEST);
  return { proxy, client, dice, told: [], mostRetries: Math.min(retries, maxRetries) };
}

/** Status of what a client got for an answer; 0: nothing yet. */
function statusOf({ text }: MemoryWire): number {
  const final = text.replace(/^(?:HTTP\/1\.1 103 [\s\S]*?\r\n\r\n)+/, "");
  return Number(/^HTTP\/1\.1 (\d+)/.exec(final)?.[1] ?? 0);
}

/** Lets one thing happen, and says what went against the rules; null: nothing. */
async function step(history: History): Promise<string | null> {
  const { proxy, dice, client, told } = history;
  const { asked, upstreams } = proxy;
  const connecting = upstreams.filter(({ isConnected, isOver }) => !isConnected && !isOver);
  const begun = upstreams.filter(({ rest, isOver }) => rest !== "" && !isOver);
  const [first] = connecting;
  if (first !== undefined && dice.below(3) > 0) {
    if (dice.below(4) === 0) proxy.lose(first);
    else proxy.stand(first);
    return null;
  }
  const one = asked[dice.below(Math.max(1, asked.length))];
  const kind = dice.below(24);
  if (one === undefined || kind >= 7) {
    const [wire] = begun;
    if (wire === undefined || kind >= 15) await proxy.advance(100 + dice.below(900));
    else {
      proxy.deliver(wire, wire.rest);
      wire.rest = "";
    }
    return null;
  }
  // Nothing of an answer has gone to the client.
  const isWaiting = client.text === "" && !client.isOver;
  const others = asked.length - 1;
  const name = `${upstreams.indexOf(one)}`;
  one.answered += 1;
  switch (kind) {
    case 0:
    case 1: {
      const isWhole = dice.below(2) === 0;
      one.rest = isWhole ? "" : name;
      told.push(`good ${name}`);
      proxy.deliver(one, `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${isWhole ? name : ""}`);
      return isWaiting && statusOf(client) !== 200 ? `the good answer of ${name} is not the client's` : null;
    }
    case 2:
      one.answered -= 1;
      told.push(`interim ${name}`);
      proxy.deliver(one, INTERIM);
      return isWaiting && proxy.asked.length > 1 ? "an interim answer ends the other tries" : null;
    case 3:
    case 4:
      told.push(`bad ${name}`);
      proxy.deliver(one, "HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nbad");
      break;
    case 5:
      told.push(`broken ${name}`);
      proxy.deliver(one, "HTTQ/9 no\r\n\r\n");
      break;
    default:
      told.push(`lost ${name}`);
      proxy.lose(one);
  }
  if (isWaiting && others > 0 && client.text !== "")
    return `a failure of ${name} is the client's, beside ${others}`;
  return null;
}

test("hedge: chance finds no order of events that loses a good answer or leaves something behind", async (t) => {
  const seen = { good: 0, bad: 0, timeouts: 0, atOnce: 0 };
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = historyOf(seed);
    const { proxy, client, told, mostRetries } = history;
    const wrong = (words: string): void => {
      throw new Error(
        `seed ${seed}: ${words}; after ${told.join(", ")}; client ${JSON.stringify(client.text)}`,
      );
    };
    for (let count = 0; count < STEPS; count++) {
      const words = await step(history);
      if (words !== null) wrong(words);
      seen.atOnce = Math.max(seen.atOnce, proxy.asked.length);
      if (proxy.asked.length > 1 + mostRetries)
        wrong("more tries at once than the policy and the bound allow");
    }
    if (history.dice.below(5) === 0) proxy.lose(client);
    await proxy.advance(8_000);
    const status = statusOf(client);
    if (!client.isOver && status === 0) wrong("no answer");
    if (status === 200) seen.good += 1;
    else if (status === 504) seen.timeouts += 1;
    else seen.bad += 1;
    const left = await proxy.leftBehind();
    if (left.length > 0) wrong(`left behind: ${left.join(", ")}`);
  }
  t.comment(JSON.stringify(seen));
  t.ok(seen.good > 100 && seen.bad > 100 && seen.timeouts > 20, "all ends were seen");
  t.equal(seen.atOnce, 4, "and as many tries at once as a policy of three retries allows");
});
