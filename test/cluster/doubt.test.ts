// A new list that lacks what is known: when that is a deletion, and when a server that has lost its state.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { createClusterClient, createReflector, type Reflector } from "../../src/cluster/client.ts";
import { DOUBT_MS } from "../../src/cluster/doubt.ts";
import { createSocketTransport } from "../../src/cluster/sockets.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createManualClock, type ManualClock } from "../support/clock.ts";

const TYPE = RESOURCES.configMap;

interface Scene {
  /** What lists answer: the text of a body, or names under a version. */
  answer: string | { readonly version: string; readonly names: readonly string[] };
  /** Names that a get finds. */
  found: readonly string[];
  readonly lists: () => number;
  readonly reflector: Reflector;
  readonly clock: ManualClock;
  readonly errors: readonly string[];
  /** Ends the watch with 410. */
  expire(): void;
  /** Sends an event to the watch. */
  tell(type: string, name: string, version: string): void;
  /** Moves time until so many further lists were answered. */
  listed(times: number): Promise<void>;
}

const object = (name: string, resourceVersion: string) => ({
  metadata: { name, namespace: "shop", resourceVersion },
});

/** A reflector that holds p and q, of version 10, on a server in the test's hands. */
async function aScene(t: Test): Promise<Scene> {
  let watch: ServerResponse | undefined;
  let lists = 0;
  const errors: string[] = [];
  const line = (event: unknown): void => void watch?.write(`${JSON.stringify(event)}\n`);
  const server = createServer((request, response) => {
    const url = request.url ?? "";
    if (url.includes("watch=true")) {
      watch = response;
      response.writeHead(200).flushHeaders();
      return;
    }
    const name = /configmaps\/([a-z]+)/.exec(url)?.[1];
    if (name !== undefined) {
      const isFound = scene.found.includes(name);
      const status = { kind: "Status", reason: "NotFound", code: 404 };
      response.writeHead(isFound ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(isFound ? object(name, "9") : status));
      return;
    }
    lists += 1;
    const { answer } = scene;
    if (typeof answer === "string") return void response.end(answer);
    const items = answer.names.map((each) => object(each, answer.version));
    response.end(
      JSON.stringify({ kind: "ConfigMapList", metadata: { resourceVersion: answer.version }, items }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an address with a port
  const transport = await createSocketTransport({ url: `http://127.0.0.1:${port}` }, async () => ({}));
  const clock = createManualClock();
  const log = { ...silentLogger, error: (message: string) => void errors.push(message) };
  const reflector = createReflector({
    client: createClusterClient(transport),
    type: TYPE,
    clock,
    log: { ...log, child: () => log },
    random: () => 0.5,
  });
  t.teardown(async () => {
    await reflector.stop();
    await transport.close();
    server.closeAllConnections();
    server.close();
  });
  const scene: Scene = {
    answer: { version: "10", names: ["p", "q"] },
    found: [],
    lists: () => lists,
    reflector,
    clock,
    errors,
    expire() {
      line({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } });
      watch?.end();
    },
    tell: (type, name, version) => line({ type, object: object(name, version) }),
    async listed(times) {
      const until = lists + times;
      for (let turn = 0; lists < until; turn += 1) {
        if (turn > 1500) throw new Error(`${lists} lists, not ${until}`);
        await clock.advance(50);
        await wait(5);
      }
    },
  };
  reflector.start();
  await reflector.waitForSync();
  while (watch === undefined) await wait(5);
  return scene;
}

/** Moves time until the claim holds. */
async function until({ clock }: Scene, claim: () => boolean): Promise<void> {
  for (let turn = 0; !claim(); turn += 1) {
    if (turn > 2500) throw new Error("it did not come about");
    await clock.advance(50);
    await wait(5);
  }
}

const keysOf = ({ reflector }: Scene): readonly string[] => reflector.store.keys().toSorted();

test("doubt: what a later list lacks was deleted, if it holds anything at all", async (t) => {
  const scene = await aScene(t);
  scene.answer = { version: "20", names: ["q"] };
  scene.expire();
  await until(scene, () => scene.reflector.store.size === 1);
  t.strictSame(keysOf(scene), ["shop/q"]);
  t.equal(scene.lists(), 2, "it is believed at once");
});

test("doubt: an empty list deletes nothing before it has been the answer for a while", async (t) => {
  const scene = await aScene(t);
  const beganMs = scene.clock.nowMs();
  scene.answer = { version: "20", names: [] };
  scene.expire();
  await scene.listed(3);
  t.strictSame(keysOf(scene), ["shop/p", "shop/q"]);
  await until(scene, () => scene.reflector.store.size === 0);
  t.ok(scene.clock.nowMs() - beganMs >= DOUBT_MS, "then everything was deleted indeed");
});

test("doubt: an empty list that ends again has deleted nothing", async (t) => {
  const scene = await aScene(t);
  const kinds: string[] = [];
  scene.reflector.subscribe(({ kind, key }) => kinds.push(`${kind} ${key}`));
  kinds.length = 0; // the replay of what there is
  scene.answer = { version: "20", names: [] };
  scene.expire();
  await scene.listed(2);
  scene.answer = { version: "21", names: ["p", "q", "r"] };
  await until(scene, () => scene.reflector.store.size === 3);
  t.strictSame(kinds, ["updated shop/p", "updated shop/q", "added shop/r"]);
});

test("doubt: an empty list deletes nothing that can still be had by name", async (t) => {
  const scene = await aScene(t);
  scene.answer = { version: "20", names: [] };
  scene.found = ["q"];
  scene.expire();
  await scene.clock.advance(DOUBT_MS);
  await scene.listed(4);
  await scene.clock.advance(DOUBT_MS);
  t.strictSame(keysOf(scene), ["shop/p", "shop/q"]);
  scene.found = [];
  await until(scene, () => scene.reflector.store.size === 0);
  t.pass("gone by list and by name");
});

test("doubt: an older state is taken after a while, and what it lacks stays until its deletion is seen", async (t) => {
  const scene = await aScene(t);
  scene.answer = { version: "4", names: ["r"] };
  scene.expire();
  await scene.listed(2);
  t.strictSame(keysOf(scene), ["shop/p", "shop/q"], "not yet");
  await until(scene, () => scene.reflector.store.size === 3);
  t.strictSame(keysOf(scene), ["shop/p", "shop/q", "shop/r"]);
  t.equal(scene.errors.length, 1);
  t.match(scene.errors[0], /^the server's history has gone back: what it no longer holds is kept/);
  scene.answer = { version: "6", names: [] };
  scene.expire();
  await until(scene, () => scene.reflector.store.size === 2);
  t.strictSame(keysOf(scene), ["shop/p", "shop/q"], "what it held itself can go");
  await wait(50);
  scene.tell("DELETED", "p", "7");
  await until(scene, () => scene.reflector.store.size === 1);
  t.strictSame(keysOf(scene), ["shop/q"]);
});

test("doubt: an answer that is no list is none, and no empty one", async (t) => {
  const scene = await aScene(t);
  const pages = [
    "<html>down for maintenance</html>",
    '{"metadata":{"resourceVersion":"30"}}',
    '{"items":[]}',
  ];
  for (const page of pages) {
    scene.answer = page;
    scene.expire();
    await scene.listed(3);
    await scene.clock.advance(DOUBT_MS);
    await scene.listed(1);
    t.strictSame(keysOf(scene), ["shop/p", "shop/q"], page);
  }
  scene.answer = '{"kind":"ConfigMapList","metadata":{"resourceVersion":"30"},"items":null}';
  await until(scene, () => scene.reflector.store.size === 0);
  t.pass("Go's empty list");
});
