// Load balancers are asked while somebody wants to know, at once when something changed and then every 10 s or more, and wake a Rollout when they say
// something new.
import { test } from "tap";
import {
  ASK_AGAIN_MS,
  ASK_SLOWLY_MS,
  createBalancerWatch,
  QUICK_ROUNDS,
} from "../../src/controller/balancers.ts";
import { silentLogger } from "../../src/lib/log.ts";
import type { LoadBalancer } from "../../src/routers/routers.ts";
import { createManualClock, settle } from "../support/clock.ts";

const KEY = "shop/web";
const lb = (weight: number): LoadBalancer => ({
  name: "edge",
  arn: "arn:lb",
  targetGroups: [{ name: "tg", arn: "arn:tg", weights: [weight] }],
});

function scene() {
  const clock = createManualClock();
  const asked: string[] = [];
  const woken: string[] = [];
  let answer: LoadBalancer | Error | undefined = lb(0);
  const watch = createBalancerWatch({
    clock,
    log: silentLogger,
    wake: (key) => woken.push(key),
    balancers: {
      async describe(dnsName) {
        asked.push(dnsName);
        if (answer instanceof Error) throw answer;
        return answer;
      },
      async targets(group) {
        asked.push(group);
        return [{ ip: "10.0.0.1", port: 80 }];
      },
    },
  });
  return {
    watch,
    asked,
    woken,
    say: (next: typeof answer) => {
      answer = next;
    },
    async look(names: readonly string[] = ["a.example.com"], holds = "20", groups: readonly string[] = []) {
      const { balancers, targets } = watch.answers(KEY, { names, groups, holds });
      await settle();
      return [...balancers, ...targets];
    },
    pass: (ms: number) => clock.advance(ms),
  };
}

test("balancers: the first look asks, and the answer wakes whoever waits for it", async (t) => {
  const { look, asked, woken } = scene();
  t.strictSame(await look(), [], "nothing is known yet");
  t.strictSame([asked.length, woken], [1, [KEY]]);
  t.strictSame(await look(), [["a.example.com", lb(0)]]);
  t.equal(asked.length, 1, "looking again asks nobody");
});

test("balancers: it is asked again every 10 s, and only news wake", async (t) => {
  const { look, pass, say, asked, woken } = scene();
  await look();
  await pass(ASK_AGAIN_MS);
  t.strictSame([asked.length, woken.length], [2, 1], "the same again is no news");
  say(lb(20));
  await pass(ASK_AGAIN_MS);
  t.strictSame([asked.length, woken.length], [3, 2]);
  t.strictSame(await look(), [["a.example.com", lb(20)]]);
});

test("balancers: what was written to the Ingress makes earlier answers worthless", async (t) => {
  const { look, asked } = scene();
  await look();
  t.strictSame(await look(["a.example.com"], "40"), [], "not what was said of the last weight");
  t.equal(asked.length, 2);
});

test("balancers: why there is no answer is an answer", async (t) => {
  const { look, pass, say } = scene();
  say(undefined);
  await look();
  t.strictSame(await look(), [["a.example.com", undefined]]);
  say(new Error("throttled"));
  await pass(ASK_AGAIN_MS);
  t.strictSame(await look(), [["a.example.com", "throttled"]]);
});

test("balancers: nobody is asked any more once nobody wants to know", async (t) => {
  const { look, pass, asked, watch } = scene();
  await look();
  t.strictSame(await look([]), []);
  await pass(10 * ASK_AGAIN_MS);
  t.equal(asked.length, 1);
  await look();
  watch.stop();
  await pass(10 * ASK_AGAIN_MS);
  t.equal(asked.length, 2);
});

test("balancers: answers that stay the same for a minute are asked for less often, until something changes", async (t) => {
  const { look, pass, say, asked } = scene();
  await look();
  for (let round = 0; round < QUICK_ROUNDS; round += 1) await pass(ASK_AGAIN_MS);
  t.equal(asked.length, 1 + QUICK_ROUNDS);
  await pass(ASK_AGAIN_MS);
  t.equal(asked.length, 1 + QUICK_ROUNDS, "not after 10 s any more");
  say(lb(20));
  await pass(ASK_SLOWLY_MS - ASK_AGAIN_MS);
  t.equal(asked.length, 2 + QUICK_ROUNDS);
  await pass(ASK_AGAIN_MS);
  t.equal(asked.length, 3 + QUICK_ROUNDS, "news are followed closely again");
});

test("balancers: target groups are asked about like load balancers", async (t) => {
  const { look, asked, woken } = scene();
  t.strictSame(await look([], "", ["arn:tg"]), []);
  t.strictSame([asked, woken], [["arn:tg"], [KEY]]);
  t.strictSame(await look([], "", ["arn:tg"]), [["arn:tg", [{ ip: "10.0.0.1", port: 80 }]]]);
});
