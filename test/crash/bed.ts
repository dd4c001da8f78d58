// What crash tests share: seeded chance, the quick start's manifests with those ports and shorter pauses, waits, events.
import { readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import type { Test } from "tap";
import { type KubeObject, RESOURCES, readPod, readRollout } from "../../src/api/api.ts";
import type { ClusterClient } from "../../src/cluster/client.ts";

const EXAMPLE = "deploy/examples/quickstart";
/** A proxy that was killed again and again is started after a growing pause. */
const SERVING_TIMEOUT_MS = 120_000;
/** A canary takes about 15 s by itself; more kills than this do not fit into one. */
export const KILLS_PER_ROLLOUT = 4;
/** Pods of a version. */
export const REPLICAS = 4;
/** Kills per test. The bounded slice is a few; `npm run test:crash` sets more. */
const ROUNDS = Number(process.env.WEIR_CRASH_ROUNDS ?? "3");

export interface Chance {
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
}

/** Chance from WEIR_CRASH_SEED or a fresh seed, which is printed. */
export function seededChance(t: Test): Chance {
  const seed = Number(process.env.WEIR_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.comment(`seed ${seed}: repeat with WEIR_CRASH_SEED=${seed}`);
  let state = seed >>> 0;
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return { between, pick: (items) => items[between(0, items.length - 1)] ?? items[0] };
}

/** How often to kill, and how long the test may take. */
export function rounds(): { readonly kills: number; readonly timeoutMs: number } {
  return { kills: ROUNDS, timeoutMs: 80_000 + ROUNDS * (ROUNDS > 3 ? 40_000 : 10_000) };
}

/** The quick start's base as one text. */
export async function baseManifests(ports: readonly [number, number]): Promise<string> {
  const folder = join(EXAMPLE, "base");
  const texts = await Promise.all(
    (await readdir(folder)).sort().map((name) => readFile(join(folder, name), "utf8")),
  );
  return shorten(texts.join("\n---\n"))
    .replace("port: 8000", `port: ${ports[0]}`)
    .replace("port: 8001", `port: ${ports[1]}`);
}

/** The rollout of a tag: `blue`, `green`, and any other, all of them good. */
export async function rolloutManifest(tag: string): Promise<string> {
  return shorten(await readFile(join(EXAMPLE, "rollout-v2.yaml"), "utf8")).replace(
    "rollouts-demo:green",
    `rollouts-demo:${tag}`,
  );
}

function shorten(text: string): string {
  return text.replaceAll(/duration: \ds/g, "duration: 2s");
}

/** What each revision runs after the first: versions 1 and 2 in turn. */
export function tagOf(revision: number): string {
  return revision % 2 === 0 ? "green" : "blue";
}

/** Polls until `look` gives something; fails with `words` and what was last seen. */
export async function until<Found>(
  words: string,
  timeoutMs: number,
  look: () => Promise<Found | undefined>,
): Promise<Found> {
  const deadlineMs = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      // What is asked may just have been killed.
      last = error;
    }
    if (performance.now() > deadlineMs) throw new Error(`not in ${timeoutMs} ms: ${words}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits `ms`: chance decides when a kill comes, nothing is synchronised by it. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something listens on each of the ports. */
export async function untilServing(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    await until(`port ${port} is listened on`, SERVING_TIMEOUT_MS, async () =>
      (await listens(port)) ? true : undefined,
    );
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

/** The Rollout ended well: Healthy on its newest revision, superfluous pods gone, and events that tell each thing once. */
export async function checkEnd(t: Test, client: ClusterClient, revision: number): Promise<void> {
  const object = await client.get(RESOURCES.rollout, { namespace: "default", name: "demo" });
  if (object === undefined) return void t.fail("the Rollout is gone");
  const { status } = readRollout(object).value;
  t.match(status, { phase: "Healthy", currentStepIndex: 8 });
  t.equal(status.stableRS, status.currentPodHash, "the newest version is the stable one");
  await until("only the stable version's pods and the gateways are left", 20_000, async () => {
    const { items } = await client.list(RESOURCES.pod, { namespace: "default" });
    const names = items.filter((pod) => readPod(pod).value.metadata.deletionTimestamp === undefined);
    return names.length === REPLICAS + 2 ? names : undefined;
  });
  const events = await rolloutEvents(client);
  t.notMatch(events.join("\n"), /RolloutAborted|Degraded|InvalidSpec|Error/, "nothing went wrong on the way");
  const completed = events.filter((line) => line.startsWith("RolloutCompleted"));
  t.same(repeated(completed), [], "each revision is completed once");
  const newest = completed.filter((line) => line.includes(`to revision ${revision} `));
  t.equal(newest.length, 1, `revision ${revision} is completed: ${completed.join(", ")}`);
}

/** Events of the Rollout as `reason: message`, one line for each time it was said. */
async function rolloutEvents(client: ClusterClient): Promise<string[]> {
  const { items } = await client.list(RESOURCES.event, { namespace: "default" });
  return items.filter(isAboutRollout).flatMap((event) => {
    const { reason, message, count } = event;
    return Array.from({ length: Number(count ?? 1) }, () => `${String(reason)}: ${String(message)}`);
  });
}

function isAboutRollout(event: KubeObject): boolean {
  const about = event.involvedObject;
  return typeof about === "object" && about !== null && "kind" in about && about.kind === "Rollout";
}

/** Lines that stand more than once. */
function repeated(lines: readonly string[]): string[] {
  return [...new Set(lines.filter((line, index) => lines.indexOf(line) !== index))];
}
