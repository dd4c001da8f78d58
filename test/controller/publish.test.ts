// The publisher against a server that refuses a snapshot: the last good one stays, and whoever waits is told why.
import { test } from "tap";
import { RESOURCES, type TrafficIntent } from "../../src/api/api.ts";
import { createEventRecorder } from "../../src/cluster/client.ts";
import { createCaches } from "../../src/controller/caches.ts";
import { createNodeRecords } from "../../src/controller/noderecords.ts";
import { createPublisher, type SnapshotServer } from "../../src/controller/publish.ts";
import { WeirError } from "../../src/lib/errors.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { SNAPSHOT_INCONSISTENT } from "../../src/xds/server.ts";
import { controllerBed, NAMESPACE, SYSTEM } from "./bed.ts";

test("publish: what cannot be published leaves the last good, holds the weight, and is said on the Gateway", {
  timeout: 60_000,
}, async (t) => {
  const bed = await controllerBed(t);
  const { client, clock } = bed;
  const log = silentLogger;
  const caches = createCaches({ client, clock, log });
  caches.start();
  t.teardown(() => caches.stop());
  await caches.waitForSync(AbortSignal.timeout(5_000));
  let published = 0;
  let isBroken = false;
  const told: string[] = [];
  const server: SnapshotServer = {
    setSnapshot() {
      if (isBroken) throw new WeirError({ code: SNAPSHOT_INCONSISTENT, message: "route x names cluster y" });
      published += 1;
      return published;
    },
    removeGroup: () => undefined,
    nodes: () => [
      {
        id: "a",
        connectedSinceMs: 0,
        isFresh: false,
        routes: ["default/edge:8000"],
        ackedSequence: published,
      },
    ],
    onChange: () => () => undefined,
  };
  const publisher = createPublisher({
    caches,
    clock,
    log,
    server,
    events: createEventRecorder({ client, clock, log, component: "test" }),
    records: createNodeRecords({ client, clock, log, namespace: SYSTEM }),
    bindAddress: "127.0.0.1",
    onAcknowledgement: (key) => told.push(key),
  });
  t.teardown(() => publisher.stop());
  const key = `${NAMESPACE}/web`;
  const intent = (canary: number): TrafficIntent => ({
    namespace: NAMESPACE,
    rollout: "web",
    stableService: "web",
    canaryService: "web-canary",
    maxWeight: 100,
    versions: [
      { podHash: "aaa", role: "stable", weight: 100 - canary },
      { podHash: "bbb", role: "canary", weight: canary },
    ],
  });
  const verdict = () => publisher.acknowledgement(key);
  t.match(verdict(), { kind: "no", nodes: [{ why: "nothing is published yet" }] });
  t.equal(publisher.publishedSinceMs(key), undefined);
  publisher.setIntent(key, intent(0));
  await publisher.start();
  const startedMs = publisher.publishedSinceMs(key);
  await bed.until("in force", () => verdict().kind === "yes");
  isBroken = true;
  publisher.setIntent(key, intent(20));
  t.equal(verdict().kind, "no", "at once");
  await bed.until("tried", () => JSON.stringify(verdict()).includes("names cluster y"));
  t.match(verdict(), {
    nodes: [{ node: "gateway/default/edge", why: /last good configuration stays in force: route x/ }],
  });
  const event = await bed.until("said on the Gateway", async () => {
    const { items } = await client.list(RESOURCES.event, { namespace: NAMESPACE });
    return items.find(({ reason }) => reason === "NotCarriedOut");
  });
  t.match(event.message, /names cluster y/);
  isBroken = false;
  const before = told.length;
  publisher.setIntent(key, intent(10));
  await bed.until("published again", () => verdict().kind === "yes");
  t.ok(told.length > before, "the Rollout is woken");
  t.type(startedMs, "number");
  t.equal(publisher.publishedSinceMs(key), startedMs, "since it began, whatever was published later");
});
