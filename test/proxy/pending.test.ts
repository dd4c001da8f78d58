// Connections that take nothing for a while, at the wrong moment: what waits for them is counted, and whoever waits behind them has its time.
import { test } from "tap";
import { silentLogger } from "../../src/lib/log.ts";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { Core, DEFAULT_LIMITS, type Limits } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { startMirrors } from "../../src/proxy/forward/copies.ts";
import type { Mirror } from "../../src/proxy/forward/mirror.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { Replay } from "../../src/proxy/forward/replay.ts";
import { BODY } from "../../src/proxy/http1/body.ts";
import { Listener } from "../../src/proxy/http1/listener.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { snapshotStats } from "../../src/proxy/observe/stats.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { ByteStore } from "../../src/proxy/wire/bytestore.ts";
import type { Wire, WireOwner } from "../../src/proxy/wire/wire.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";

/** A connection in memory whose system takes bytes only while it is told to. */
class HoldingWire implements Wire {
  owner: WireOwner;
  hasWritten = false;
  isPending = false;
  isHolding = false;
  isOpen = true;
  readonly peerAddress = "192.0.2.1";
  readonly isSecure = false;
  text = "";
  ended = "";

  constructor(owner: WireOwner) {
    this.owner = owner;
  }

  write(view: Uint8Array): boolean {
    this.text += Buffer.from(view).toString("latin1");
    this.hasWritten = true;
    this.isPending = this.isHolding;
    return !this.isPending;
  }

  /** Takes all. */
  drain(): void {
    this.isHolding = false;
    this.isPending = false;
    this.owner.onDrain();
  }

  pause(): void {
    // Nothing arrives by itself.
  }

  resume(): void {
    // As above.
  }

  end(): void {
    this.ended = "fin";
  }

  destroy(): void {
    this.ended ||= "closed";
  }

  reset(): void {
    this.ended = "reset";
  }
}

const ROUTES = {
  virtual_hosts: [
    {
      name: "v",
      domains: ["*"],
      routes: [
        { match: { prefix: "/own" }, direct_response: { status: 200, body: { inline_string: "ok" } } },
        {
          match: { prefix: "/" },
          route: { cluster: "main", request_mirror_policies: [{ cluster: "copy" }] },
        },
      ],
    },
  ],
};

function coreOf(connect?: Core["connect"], limits: Partial<Limits> = {}) {
  const clock = createManualClock();
  const core = new Core({ clock, log: silentLogger, seed: 1, limits, ...(connect && { connect }) });
  const table = compileRoutes(fromJson(RouteConfigurationSchema, ROUTES), "1", (route, cluster) =>
    core.stats.cell(route, cluster),
  );
  return { clock, core, table };
}

test("pending: the time of a head that began behind an answer goes on when the client takes that answer", async (t) => {
  const { clock, core, table } = coreOf();
  const listener = new Listener(core, { name: "main", address: "192.0.2.3", port: 0 });
  listener.hosts = table;
  core.deadlines.start();
  let wire: HoldingWire | undefined;
  listener.accept((owner) => {
    wire = new HoldingWire(owner);
    return wire;
  });
  if (wire === undefined) throw new Error("no connection");
  wire.isHolding = true;
  const bytes = Buffer.from("GET /own HTTP/1.1\r\nHost: a\r\n\r\nGET /next HT", "latin1");
  wire.owner.deliver(bytes, 0, bytes.length);
  core.outbox.flush();
  t.match(wire.text, /^HTTP\/1\.1 200 [\s\S]*ok$/);
  t.equal(wire.isPending, true);
  await clock.advance(5_000);
  wire.drain();
  await clock.advance(9_000);
  t.equal(wire.ended, "");
  await clock.advance(2_000);
  t.match(wire.text, /HTTP\/1\.1 408 [\s\S]*request head took too long/);
  t.equal(wire.ended, "fin");
  wire.owner.onClose("");
  t.equal(core.counts.internalErrors, 0);
  t.equal(core.openConnections, 0);
  core.deadlines.stop();
});

/** A core whose upstream connections take nothing until they are told to, and copies of requests with a body of 300 000 bytes. */
function copying(limits: Partial<Limits> = {}) {
  const wires: HoldingWire[] = [];
  const { core, table } = coreOf((_context, _host, _others, _port, owner) => {
    const wire = new HoldingWire(owner);
    wire.isHolding = true;
    wires.push(wire);
    return wire;
  }, limits);
  for (const name of ["main", "copy"]) {
    const cluster = new Cluster(core, name, DEFAULT_CLUSTER_OPTIONS);
    cluster.update([{ address: "192.0.2.2", port: 80, isHealthy: true }]);
    core.clusters.set(name, cluster);
  }
  const text = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n";
  const parser = new HeadParser();
  parser.reset(KIND.REQUEST);
  parser.run(Buffer.from(text), 0, text.length);
  const route = findRoute(table, parser.head, core.dice);
  if (route === null) throw new Error("no route");
  const copy = (): Mirror => {
    const head = new ByteStore();
    head.text(Buffer.from(text));
    const [mirror] = startMirrors(core, { route, head, body: BODY.LENGTH, isHeadRequest: false }) ?? [];
    if (mirror === undefined) throw new Error("no copy");
    mirror.sendBody(Buffer.alloc(300_000, "x"), 0, 300_000);
    return mirror;
  };
  const behind = (): number =>
    snapshotStats(core.stats)
      .find(({ cluster }) => cluster === "copy")
      ?.values.get("behind") ?? 0;
  return { core, wires, copy, behind };
}

test("pending: what a mirror's connection holds counts as kept until it is sent, or the copy is over", (t) => {
  const { core, wires, copy } = copying();
  const turn = (step: () => void): void => {
    step();
    core.outbox.flush();
    core.outbox.forgetKept();
  };
  copy();
  t.equal(core.budget.used, 300_000, "while it is being connected");
  turn(() => wires[0]?.owner.onConnect());
  t.equal(wires[0]?.isPending, true);
  t.equal(core.budget.used, 300_000, "while the connection holds it");
  turn(() => wires[0]?.drain());
  t.equal(core.budget.used, 0, "when it is sent");

  const second = copy();
  turn(() => wires[1]?.owner.onConnect());
  turn(() => second.sendBody(Buffer.alloc(1_000), 0, 1_000));
  t.equal(core.budget.used, 301_000);
  turn(() => wires[1]?.owner.onClose("ECONNRESET"));
  t.equal(core.budget.used, 0, "when the copy is over");
  t.equal(core.counts.internalErrors, 0);
  t.end();
});

test("pending: bodies kept for a second try and those for mirrors share one budget, of 32 MiB", (t) => {
  t.equal(DEFAULT_LIMITS.copyBytes, 32 * 1024 * 1024);
  const kept = (core: Core, bytes: number): Replay => {
    const replay = new Replay(core, 1_000_000);
    replay.keep(Buffer.alloc(bytes), 0, bytes);
    return replay;
  };
  const first = copying({ copyBytes: 400_000 });
  first.copy();
  t.equal(kept(first.core, 200_000).isWhole, false, "what a mirror waits with is not there for a second try");
  t.equal(first.core.budget.used, 300_000, "and what was tried is given back");

  const second = copying({ copyBytes: 400_000 });
  const replay = kept(second.core, 200_000);
  t.equal(replay.isWhole, true);
  second.copy();
  t.equal(second.behind(), 1, "nor the other way round");
  replay.drop();
  t.equal(second.core.budget.used, 0);
  second.copy();
  t.equal(second.behind(), 1, "there is room again");
  t.end();
});
