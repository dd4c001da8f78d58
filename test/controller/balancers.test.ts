// Load balancers are asked while somebody wants to know, at once when something changed and every 10 s, and wake a Rollout when they say
// something new.
import { test } from "tap";
import { ASK_AGAIN_MS, createBalancerWatch } from "../../src/controller/balancers.ts";
import { silentLogger } from "../../src/lib/log.ts";
import type { LoadBalancer } from "../../src/routers/routers.ts";
import { createManualClock, settle } from "../support/clock.ts";

const KEY = "shop/web";
const lb = (weight: number): LoadBalancer => ({
  name: "edge",
  arn: "arn:lb",
  targetGroups: [{ name: "tg", arn: "arn:tg", tags: {}, weight }],
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
    },
  });
  return {
    watch,
    asked,
    woken,
    say: (next: typeof answer) => {
      answer = next;
    },
    async look(names: readonly string[] = ["a.example.com"], holds = "20") {
      const answers = watch.answers(KEY, names, holds);
      await settle();
      return answers;
    },
    pass: (ms: number) => clock.advance(ms),
  };
}

test("balancers: the first look asks, and the answer wakes whoever waits for it", async (t) => {
  const { look, asked, woken } = scene();
  t.strictSame([...(await look())], [], "nothing is known yet");
  t.strictSame([asked.length, woken], [1, [KEY]]);
  t.strictSame([...(await look())], [["a.example.com", lb(0)]]);
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
  t.strictSame([...(await look())], [["a.example.com", lb(20)]]);
});

test("balancers: what was written to the Ingress makes earlier answers worthless", async (t) => {
  const { look, asked } = scene();
  await look();
  t.strictSame([...(await look(["a.example.com"], "40"))], [], "not what was said of the last weight");
  t.equal(asked.length, 2);
});

test("balancers: why there is no answer is an answer", async (t) => {
  const { look, pass, say } = scene();
  say(undefined);
  await look();
  t.strictSame([...(await look())], [["a.example.com", "there is no load balancer of that name"]]);
  say(new Error("throttled"));
  await pass(ASK_AGAIN_MS);
  t.strictSame([...(await look())], [["a.example.com", "throttled"]]);
});

test("balancers: nobody is asked any more once nobody wants to know", async (t) => {
  const { look, pass, asked, watch } = scene();
  await look();
  t.strictSame([...(await look([]))], []);
  await pass(10 * ASK_AGAIN_MS);
  t.equal(asked.length, 1);
  await look();
  watch.stop();
  await pass(10 * ASK_AGAIN_MS);
  t.equal(asked.length, 2);
});
