// Hedged requests under chance: connections stand late or never, answers come in any order, good, bad, broken, in pieces, or not at all. The first
// good head is always the client's, a bad one never while another try may still answer, and nothing is left behind.
import { test } from "tap";
import { silentLogger } from "../../src/lib/log.ts";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { Core } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { Listener } from "../../src/proxy/http1/listener.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import type { Wire, WireOwner } from "../../src/proxy/wire/wire.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { createManualClock, type ManualClock } from "../support/clock.ts";

const HISTORIES = 800;
const STEPS = 24;
const REQUEST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const INTERIM = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";

/** A connection in memory, to the client or to an endpoint. */
class MemoryWire implements Wire {
  owner: WireOwner;
  readonly peerAddress = "192.0.2.1";
  readonly isSecure = false;
  readonly isPending = false;
  hasWritten = false;
  text = "";
  /** The proxy closed it, or the other side did. */
  isOver = false;
  isClosedFor = false;
  isConnected = false;
  answered = 0;
  /** What is left to be sent of an answer that began. */
  rest = "";

  constructor(owner: WireOwner) {
    this.owner = owner;
  }

  get isOpen(): boolean {
    return !this.isOver;
  }

  /** It holds a request, whole, of whose answer nothing was sent. */
  get isAsked(): boolean {
    const asked = this.text.split("\r\n\r\nbody").length - 1;
    return this.isConnected && !this.isOver && this.rest === "" && asked > this.answered;
  }

  write(view: Uint8Array): boolean {
    this.hasWritten = true;
    if (!this.isOver) this.text += Buffer.from(view).toString("latin1");
    return true;
  }

  pause(): void {
    // The test delivers all the same: what was on its way arrives.
  }

  resume(): void {
    // As above.
  }

  end(): void {
    this.isOver = true;
  }

  destroy(): void {
    this.isOver = true;
  }

  reset(): void {
    this.isOver = true;
  }
}

/** One request through a proxy, and what the test may do to it. */
class History {
  readonly clock: ManualClock = createManualClock();
  readonly core: Core;
  readonly cluster: Cluster;
  readonly client: MemoryWire;
  readonly upstreams: MemoryWire[] = [];
  readonly dice: Dice;
  readonly told: string[] = [];
  readonly retries: number;
  readonly mostRetries: number;

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.retries = this.dice.below(4);
    this.mostRetries = this.dice.below(4);
    this.core = new Core({
      clock: this.clock,
      log: silentLogger,
      seed,
      connect: (_context, _host, _others, _port, owner) => {
        const wire = new MemoryWire(owner);
        this.upstreams.push(wire);
        return wire;
      },
    });
    this.cluster = new Cluster(this.core, "a", { ...DEFAULT_CLUSTER_OPTIONS, maxRetries: this.mostRetries });
    this.cluster.update(
      ["192.0.2.2", "192.0.2.3"].map((address) => ({ address, port: 80, isHealthy: true, weight: 1 })),
    );
    this.core.clusters.set("a", this.cluster);
    const listener = new Listener(this.core, { name: "main", address: "192.0.2.9", port: 0 });
    const policy = { retry_on: "5xx,reset", num_retries: this.retries, per_try_timeout: "1s" };
    const route = {
      cluster: "a",
      timeout: "6s",
      retry_policy: policy,
      hedge_policy: { hedge_on_per_try_timeout: true },
    };
    const routes = {
      virtual_hosts: [{ name: "v", domains: ["*"], routes: [{ match: { prefix: "/" }, route }] }],
    };
    listener.hosts = compileRoutes(fromJson(RouteConfigurationSchema, routes), "1", (name, cluster) =>
      this.core.stats.cell(name, cluster),
    );
    this.core.deadlines.start();
    let client: MemoryWire | undefined;
    listener.accept((owner) => {
      client = new MemoryWire(owner);
      return client;
    });
    if (client === undefined) throw new Error("no connection");
    this.client = client;
    this.deliver(client, REQUEST);
  }

  get asked(): readonly MemoryWire[] {
    return this.upstreams.filter(({ isAsked }) => isAsked);
  }

  /** Status of what the client got for an answer; 0: nothing yet. */
  get status(): number {
    const final = this.client.text.replaceAll(INTERIM.replace("Link", "link"), "").replaceAll(INTERIM, "");
    return Number(/^HTTP\/1\.1 (\d+)/.exec(final)?.[1] ?? 0);
  }

  /** The client waits, and nothing of an answer has gone to it. */
  get isWaiting(): boolean {
    return this.client.text === "" && !this.client.isOver;
  }

  deliver(wire: MemoryWire, text: string): void {
    const bytes = Buffer.from(text, "latin1");
    this.turn(() => wire.owner.deliver(bytes, 0, bytes.length));
  }

  lose(wire: MemoryWire): void {
    wire.isOver = true;
    this.turn(() => undefined);
  }

  /** A turn of the event loop; whose connection is over hears of it. */
  turn(step: () => void): void {
    step();
    for (let closing = this.#closing(); closing !== undefined; closing = this.#closing()) {
      closing.isClosedFor = true;
      closing.owner.onClose("");
    }
    this.core.outbox.flush();
    this.core.outbox.forgetKept();
    if (this.#closing() !== undefined) this.turn(() => undefined);
  }

  #closing(): MemoryWire | undefined {
    return [this.client, ...this.upstreams].find(({ isOver, isClosedFor }) => isOver && !isClosedFor);
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.turn(() => undefined);
  }
}

/** Lets one thing happen, and says what went against the rules; null: nothing. */
async function step(history: History): Promise<string | null> {
  const { dice, asked, upstreams, client } = history;
  const connecting = upstreams.filter(({ isConnected, isOver }) => !isConnected && !isOver);
  const begun = upstreams.filter(({ rest, isOver }) => rest !== "" && !isOver);
  const [first] = connecting;
  if (first !== undefined && dice.below(3) > 0) {
    if (dice.below(4) === 0) history.lose(first);
    else {
      first.isConnected = true;
      history.turn(() => first.owner.onConnect());
    }
    return null;
  }
  const one = asked[dice.below(Math.max(1, asked.length))];
  const kind = dice.below(24);
  if (one === undefined || kind >= 7) {
    const [wire] = begun;
    if (wire === undefined || kind >= 15) await history.advance(100 + dice.below(900));
    else {
      history.deliver(wire, wire.rest);
      wire.rest = "";
    }
    return null;
  }
  const { isWaiting } = history;
  const others = asked.length - 1;
  const name = `${upstreams.indexOf(one)}`;
  one.answered += 1;
  switch (kind) {
    case 0:
    case 1: {
      const isWhole = dice.below(2) === 0;
      one.rest = isWhole ? "" : name;
      history.told.push(`good ${name}`);
      history.deliver(one, `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${isWhole ? name : ""}`);
      return isWaiting && history.status !== 200 ? `the good answer of ${name} is not the client's` : null;
    }
    case 2:
      one.answered -= 1;
      history.told.push(`interim ${name}`);
      history.deliver(one, INTERIM);
      return isWaiting && history.asked.length > 1 ? "an interim answer ends the other tries" : null;
    case 3:
    case 4:
      history.told.push(`bad ${name}`);
      history.deliver(one, "HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nbad");
      break;
    case 5:
      history.told.push(`broken ${name}`);
      history.deliver(one, "HTTQ/9 no\r\n\r\n");
      break;
    default:
      history.told.push(`lost ${name}`);
      history.lose(one);
  }
  if (isWaiting && others > 0 && client.text !== "")
    return `a failure of ${name} is the client's, beside ${others}`;
  return null;
}

test("hedge: chance finds no order of events that loses a good answer or leaves something behind", async (t) => {
  const seen = { good: 0, bad: 0, timeouts: 0, atOnce: 0 };
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = new History(seed);
    const { core, cluster, client, told } = history;
    const wrong = (words: string): void => {
      throw new Error(
        `seed ${seed}: ${words}; after ${told.join(", ")}; client ${JSON.stringify(client.text)}`,
      );
    };
    for (let count = 0; count < STEPS; count++) {
      const words = await step(history);
      if (words !== null) wrong(words);
      seen.atOnce = Math.max(seen.atOnce, history.asked.length);
      if (history.asked.length > 1 + Math.min(history.retries, history.mostRetries))
        wrong("more tries at once than the policy and the bound allow");
    }
    if (history.dice.below(5) === 0) history.lose(client);
    await history.advance(8_000);
    if (!client.isOver && history.status === 0) wrong("no answer");
    if (history.status === 200) seen.good += 1;
    else if (history.status === 504) seen.timeouts += 1;
    else seen.bad += 1;
    history.lose(client);
    await history.advance(5_000);
    const left = [cluster.active, cluster.retrying, cluster.pending, cluster.waiting, core.budget.used];
    const inUse = cluster.endpoints.map(({ active, connections }) => active + connections);
    if ([...left, ...inUse, core.stats.inFlightOfAll, core.openConnections].some((count) => count !== 0))
      wrong(`left behind: ${left} ${inUse} ${core.stats.inFlightOfAll} ${core.openConnections}`);
    if (core.counts.internalErrors > 0) wrong("an internal error");
    core.deadlines.stop();
  }
  t.comment(JSON.stringify(seen));
  t.ok(seen.good > 100 && seen.bad > 100 && seen.timeouts > 20, "all ends were seen");
  t.equal(seen.atOnce, 4, "and as many tries at once as a policy of three retries allows");
});
