// Leadership among candidates of one Lease, over the embedded server in process, with a manual clock and cut connections.
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createClusterClient,
  createLeaderElection,
  type LeaderElection,
  type Transport,
} from "../../src/cluster/client.ts";
import { createEmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { WeirError } from "../../src/lib/errors.ts";
import { isObject } from "../../src/lib/json.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createManualClock, type ManualClock, settle } from "../support/clock.ts";
import { startTestBed } from "../support/testbed.ts";

interface Candidate {
  readonly election: LeaderElection;
  /** `started` and `stopped` with the second at which they came. */
  readonly story: string[];
  /** Cuts the connection to the server, or mends it. */
  cut(isCut: boolean): void;
}

interface Scene {
  readonly clock: ManualClock;
  readonly client: ClusterClient;
  candidate(identity: string, work?: (signal: AbortSignal) => Promise<void>): Candidate;
  lease(): Promise<Readonly<Record<string, unknown>>>;
}

async function aScene(t: Test): Promise<Scene> {
  const clock = createManualClock(0);
  const server = await createEmbeddedServer({ stateDir: ":memory:", clock, log: silentLogger });
  t.teardown(() => server.close());
  const transport = server.transport();
  const client = createClusterClient(transport, { clock });
  const ref = { namespace: "default", name: "weir" };
  return {
    clock,
    client,
    candidate(identity, work) {
      const story: string[] = [];
      const note = (word: string): void => void story.push(`${word} ${Math.round(clock.nowMs() / 100) / 10}`);
      let isCut = false;
      const wire: Transport = {
        request: (request) => (isCut ? Promise.reject(unreachable()) : transport.request(request)),
        close: () => Promise.resolve(),
      };
      const election = createLeaderElection({
        ...ref,
        client: createClusterClient(wire, { clock }),
        clock,
        log: silentLogger,
        identity,
        random: () => 0,
        onStarted(signal) {
          note("started");
          return work?.(signal);
        },
        onStopped: () => note("stopped"),
      });
      t.teardown(() => election.stop());
      return {
        election,
        story,
        cut(value) {
          isCut = value;
        },
      };
    },
    async lease() {
      const found: KubeObject | undefined = await client.get(RESOURCES.lease, ref);
      return isObject(found?.spec) ? found.spec : {};
    },
  };
}

function unreachable(): WeirError {
  return new WeirError({ code: CLUSTER_ERRORS.unavailable, message: "cut off" });
}

test("leader election: the first candidate leads, renews, and the second waits", async (t) => {
  const { clock, candidate, lease } = await aScene(t);
  const [a, b] = [candidate("a"), candidate("b")];
  a.election.start();
  await settle();
  b.election.start();
  await clock.advance(60_000);
  t.strictSame([a.story, b.story], [["started 0"], []]);
  t.equal(b.election.holder(), "a");
  t.strictSame([a.election.isLeader(), b.election.isLeader()], [true, false]);
  t.strictSame(await lease(), {
    holderIdentity: "a",
    leaseDurationSeconds: 15,
    acquireTime: "1970-01-01T00:00:00.000000Z",
    renewTime: "1970-01-01T00:01:00.000000Z",
    leaseTransitions: 0,
  });
});

test("leader election: a leader that is cut off stops leading before another starts", async (t) => {
  const { clock, candidate, lease } = await aScene(t);
  const [a, b] = [candidate("a"), candidate("b")];
  a.election.start();
  await settle();
  b.election.start();
  await clock.advance(20_000);
  a.cut(true);
  await clock.advance(30_000);
  t.strictSame(a.story, ["started 0", "stopped 30"], "10 s after its last renewal");
  t.strictSame(b.story, ["started 36"], "at its first try that is 15 s after the last renewal that it saw");
  t.equal((await lease()).leaseTransitions, 1);
  a.cut(false);
  await clock.advance(30_000);
  t.equal(a.election.isLeader(), false);
  t.equal(a.election.holder(), "b");
});

test("leader election: a short cut changes nothing", async (t) => {
  const { clock, candidate } = await aScene(t);
  const [a, b] = [candidate("a"), candidate("b")];
  a.election.start();
  await settle();
  b.election.start();
  await clock.advance(10_000);
  a.cut(true);
  await clock.advance(7_000);
  a.cut(false);
  await clock.advance(60_000);
  t.strictSame([a.story, b.story], [["started 0"], []]);
});

test("leader election: stop releases the lease after the work has ended, and the other leads at its next try", async (t) => {
  const { clock, candidate, lease } = await aScene(t);
  const work = Promise.withResolvers<void>();
  const a = candidate("a", (signal) => (signal.aborted ? Promise.resolve() : work.promise));
  const b = candidate("b");
  a.election.start();
  await settle();
  b.election.start();
  await clock.advance(5_000);
  const stopped = a.election.stop();
  await settle();
  t.strictSame(a.story, ["started 0", "stopped 5"]);
  t.equal((await lease()).holderIdentity, "a", "still held while the work goes on");
  work.resolve();
  await stopped;
  t.match(await lease(), { holderIdentity: "", leaseDurationSeconds: 1 });
  await clock.advance(2_000);
  t.strictSame(b.story, ["started 6"]);
  t.equal((await lease()).leaseTransitions, 1);
});

test("leader election: a leader whose work fails makes way, and without another tries again after growing pauses", async (t) => {
  const { clock, candidate } = await aScene(t);
  const a = candidate("a", () => Promise.reject(new Error("no disk")));
  a.election.start();
  await clock.advance(20_000);
  // Released at its next look, 2 s later; then 5 s and 10 s of rest.
  t.strictSame(a.story, ["started 0", "stopped 0", "started 7", "stopped 7", "started 19", "stopped 19"]);
  const b = candidate("b");
  b.election.start();
  await clock.advance(60_000);
  t.equal(b.story.length, 1, "the other leads");
  t.equal(a.story.length, 6, "and goes on leading");
});

test("leader election: a leader whose lease another took stops at once", async (t) => {
  const { clock, candidate, client, lease } = await aScene(t);
  const a = candidate("a");
  a.election.start();
  await clock.advance(1_000);
  const body = {
    spec: { ...(await lease()), holderIdentity: "thief", renewTime: "1970-01-01T00:00:01.000000Z" },
  };
  await client.patch(RESOURCES.lease, { namespace: "default", name: "weir" }, { type: "merge", body });
  await clock.advance(1_000);
  t.strictSame(a.story, ["started 0", "stopped 2"]);
  t.equal(a.election.holder(), "thief");
  await clock.advance(20_000);
  t.match(a.story[2], /^started 1[78]/, "and leads again when the thief does not renew");
});

test("leader election: of candidates that start together exactly one leads", async (t) => {
  const { clock, candidate } = await aScene(t);
  const all = ["a", "b", "c", "d"].map((identity) => candidate(identity));
  for (const { election } of all) election.start();
  await clock.advance(30_000);
  t.equal(all.filter(({ election }) => election.isLeader()).length, 1);
  t.equal(all.filter(({ story }) => story.length > 0).length, 1);
});

test("leader election: a process that comes back under its own identity goes on at once", async (t) => {
  const { clock, candidate, lease } = await aScene(t);
  const a = candidate("a");
  a.election.start();
  await clock.advance(3_000);
  a.cut(true); // it dies without releasing
  const again = candidate("a");
  again.election.start();
  await settle();
  t.strictSame(again.story, ["started 3"]);
  t.equal((await lease()).leaseTransitions, 0);
});

test("leader election: on the real API server one leads after the other", async (t) => {
  const bed = await startTestBed(t, { hasCrds: false });
  if (bed === undefined) return;
  const namespace = await bed.namespace();
  const { client } = bed;
  const candidate = (identity: string): { election: LeaderElection; started: Promise<void> } => {
    const started = Promise.withResolvers<void>();
    const election = createLeaderElection({
      client,
      clock: systemClock,
      log: silentLogger,
      namespace,
      name: "weir",
      identity,
      leaseMs: 3_000,
      renewMs: 2_000,
      retryMs: 100,
      onStarted: () => started.resolve(),
      onStopped: () => undefined,
    });
    t.teardown(() => election.stop());
    return { election, started: started.promise };
  };
  const [a, b] = [candidate("a"), candidate("b")];
  a.election.start();
  await a.started;
  b.election.start();
  await a.election.stop();
  await b.started;
  t.strictSame([a.election.isLeader(), b.election.isLeader()], [false, true]);
  const lease = await client.get(RESOURCES.lease, { namespace, name: "weir" });
  t.match(lease?.spec, { holderIdentity: "b", leaseDurationSeconds: 3, leaseTransitions: 1 });
});
