// The promises of the work queue, with a manual clock.
import { test } from "tap";
import { createWorkQueue, type WorkQueueOptions } from "../../src/cluster/client.ts";
import { createLogger, silentLogger } from "../../src/lib/log.ts";
import { createManualClock, type ManualClock, settle } from "../support/clock.ts";

function aQueue(
  process: WorkQueueOptions["process"],
  options: Partial<WorkQueueOptions> = {},
): { queue: ReturnType<typeof createWorkQueue>; clock: ManualClock } {
  const clock = createManualClock();
  return { queue: createWorkQueue({ clock, log: silentLogger, process, ...options }), clock };
}

test("work queue: collapses duplicates and keeps the order of first adds", async (t) => {
  const seen: string[] = [];
  const { queue } = aQueue(async (key) => void seen.push(key));
  for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
  t.equal(queue.length, 3);
  queue.start();
  await queue.idle();
  t.strictSame(seen, ["a", "b", "c"]);
  await queue.stop();
});

test("work queue: a key added while it is worked on is worked on again, and never twice at once", async (t) => {
  const gates: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const { queue } = aQueue(
    async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running -= 1;
    },
    { workers: 4 },
  );
  queue.start();
  queue.add("a");
  await settle();
  queue.add("a");
  queue.add("a");
  await settle();
  t.equal(gates.length, 1, "the second pass waits for the first");
  gates[0]?.();
  await settle();
  t.equal(gates.length, 2, "both adds made one more pass");
  gates[1]?.();
  await queue.idle();
  t.equal(gates.length, 2);
  t.equal(most, 1);
  await queue.stop();
});

test("work queue: runs as many passes at once as it has workers", async (t) => {
  const gates = new Map<string, () => void>();
  const { queue } = aQueue((key) => new Promise<void>((resolve) => void gates.set(key, resolve)), {
    workers: 2,
  });
  queue.start();
  for (const key of ["a", "b", "c"]) queue.add(key);
  await settle();
  t.strictSame([...gates.keys()], ["a", "b"]);
  t.equal(queue.length, 1);
  gates.get("a")?.();
  await settle();
  t.strictSame([...gates.keys()], ["a", "b", "c"]);
  for (const open of gates.values()) open();
  await queue.idle();
  await queue.stop();
});

test("work queue: failures back off per key, doubling to the bound, and success forgets them", async (t) => {
  const atMs: number[] = [];
  const lines: string[] = [];
  let failuresLeft = 6;
  const clock = createManualClock(0);
  const queue = createWorkQueue({
    clock,
    log: createLogger({ write: (line) => void lines.push(line), nowMs: () => 0 }),
    baseDelayMs: 10,
    maxDelayMs: 100,
    process: async () => {
      atMs.push(clock.nowMs());
      if (failuresLeft-- > 0) throw new Error("the disk is full");
    },
  });
  queue.start();
  queue.add("a");
  await clock.advance(1000);
  t.strictSame(atMs, [0, 10, 30, 70, 150, 250, 350]);
  t.equal(queue.failuresOf("a"), 0);
  t.equal(lines.length, 6);
  t.match(lines[1], /key=a error="the disk is full" failures=2 retryInMs=20/);
  failuresLeft = 1;
  queue.add("a");
  await clock.advance(9);
  t.equal(queue.failuresOf("a"), 1);
  await clock.advance(1);
  t.equal(atMs.at(-1), 1010, "the back-off began anew");
  await queue.stop();
});

test("work queue: the default back-off runs from 1 ms to 10 s", async (t) => {
  const atMs: number[] = [];
  const { queue, clock } = aQueue(async () => {
    atMs.push(clock.nowMs());
    throw new Error("no");
  });
  queue.start();
  queue.add("a");
  await clock.advance(60_000);
  const gaps = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
  t.strictSame(gaps.slice(0, 5), [1, 2, 4, 8, 16]);
  t.equal(Math.max(...gaps), 10_000);
  await queue.stop();
});

test("work queue: of several delayed adds the earliest holds", async (t) => {
  const atMs: number[] = [];
  const clock = createManualClock(0);
  const queue = createWorkQueue({
    clock,
    log: silentLogger,
    process: async () => void atMs.push(clock.nowMs()),
  });
  queue.start();
  queue.addAfter("a", 500);
  queue.addAfter("a", 100);
  queue.addAfter("a", 300);
  await clock.advance(1000);
  t.strictSame(atMs, [100]);
  t.equal(clock.pending, 0);
  await queue.stop();
});

test("work queue: a pass may ask for the next one", async (t) => {
  const atMs: number[] = [];
  const clock = createManualClock(0);
  const queue = createWorkQueue({
    clock,
    log: silentLogger,
    process: async () => {
      atMs.push(clock.nowMs());
      return atMs.length < 3 ? { requeueAfterMs: 250 } : undefined;
    },
  });
  queue.start();
  queue.add("a");
  await clock.advance(2000);
  t.strictSame(atMs, [0, 250, 500]);
  await queue.stop();
});

test("work queue: stop aborts running passes, waits for them, and begins none", async (t) => {
  const seen: string[] = [];
  const { queue, clock } = aQueue(async (key, signal) => {
    seen.push(key);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    seen.push(`${key} ended`);
  });
  queue.start();
  queue.add("a");
  queue.add("b");
  queue.addAfter("c", 10);
  await settle();
  await queue.stop();
  t.strictSame(seen, ["a", "a ended"]);
  queue.add("d");
  await clock.advance(100);
  t.strictSame(seen, ["a", "a ended"]);
  t.equal(clock.pending, 0, "no timer is left");
  await queue.idle();
});

test("work queue: holds many keys in order and forgets those that are done", async (t) => {
  const seen: string[] = [];
  const { queue } = aQueue(async (key) => void seen.push(key), { workers: 3 });
  const keys = Array.from({ length: 5000 }, (_, index) => `key-${index}`);
  for (const key of keys) queue.add(key);
  t.equal(queue.length, 5000);
  queue.start();
  await queue.idle();
  t.strictSame(seen, keys);
  t.equal(queue.length, 0);
  await queue.stop();
});
