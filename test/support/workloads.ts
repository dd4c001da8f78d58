// An embedded cluster in one process for tests: API server in memory, workload controllers, and a node agent with real processes in a
// folder of its own. Everything ends with the test.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { type KubeObject, RESOURCES, type ResourceType } from "../../src/api/api.ts";
import { type ClusterClient, createClusterClient } from "../../src/cluster/client.ts";
import {
  type Agent,
  type AgentOptions,
  createAgent,
  createEmbeddedServer,
  type EmbeddedServer,
  startWorkloadControllers,
} from "../../src/embedded/embedded.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";

export interface WorkloadBed {
  readonly server: EmbeddedServer;
  readonly client: ClusterClient;
  readonly stateDir: string;
  /** Starts an agent on the bed's folder. It ends with the test, and its pods with it. */
  startAgent(options?: Partial<AgentOptions>): Promise<Agent>;
  /** Starts the ReplicaSet and EndpointSlice controllers. */
  startControllers(clock?: Clock): Promise<void>;
  create(type: ResourceType, object: Readonly<Record<string, unknown>>): Promise<KubeObject>;
  /** Waits until the object is as wanted and returns it; fails with its last state. */
  until(
    type: ResourceType,
    name: string,
    isWanted: (object: KubeObject | undefined) => boolean,
    timeoutMs?: number,
  ): Promise<KubeObject | undefined>;
  /** Waits until the list of a kind is as wanted. */
  untilList(
    type: ResourceType,
    isWanted: (objects: readonly KubeObject[]) => boolean,
    timeoutMs?: number,
  ): Promise<readonly KubeObject[]>;
  /** Messages of the events on an object, as `reason: message`. */
  eventsOf(name: string): Promise<readonly string[]>;
}

const NAMESPACE = "default";
const TIMEOUT_MS = 15_000;

/** Builds the bed; nothing but the server runs at first. */
export async function workloadBed(t: Test): Promise<WorkloadBed> {
  const stateDir = await mkdtemp(join(tmpdir(), "weir-agent-"));
  t.teardown(() => rm(stateDir, { recursive: true, force: true }));
  const server = await createEmbeddedServer({ stateDir: ":memory:", clock: systemClock, log: silentLogger });
  t.teardown(() => server.close());
  const client = createClusterClient(server.transport());
  // Watches in process are no handles that keep a program alive.
  const stay = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(stay));

  const untilList: WorkloadBed["untilList"] = async (type, isWanted, timeoutMs = TIMEOUT_MS) => {
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const { items } = await client.list(type, type.isNamespaced ? { namespace: NAMESPACE } : {});
      if (isWanted(items)) return items;
      if (Date.now() > deadlineMs)
        throw new Error(`${type.plural} did not become as wanted: ${JSON.stringify(items, undefined, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return {
    server,
    client,
    stateDir,
    async startAgent(options = {}) {
      const agent = createAgent({
        client,
        nodeName: "node",
        stateDir,
        clock: systemClock,
        log: silentLogger,
        network: { kind: "loopback" },
        bindsPods: true,
        backoffScale: 0.01,
        ...options,
      });
      t.teardown(() => agent.stop({ keepPods: false }));
      await agent.start();
      return agent;
    },
    async startControllers(clock = systemClock) {
      const controllers = startWorkloadControllers({ client, clock, log: silentLogger });
      t.teardown(() => controllers.stop());
      await controllers.ready;
    },
    create: (type, object) =>
      // The cast holds as far as the server's validation goes.
      client.create(type, withMeta(type, object) as unknown as KubeObject),
    async until(type, name, isWanted, timeoutMs) {
      const find = (objects: readonly KubeObject[]): KubeObject | undefined =>
        objects.find(({ metadata }) => metadata.name === name);
      return find(await untilList(type, (objects) => isWanted(find(objects)), timeoutMs));
    },
    untilList,
    async eventsOf(name) {
      const { items } = await client.list(RESOURCES.event, { namespace: NAMESPACE });
      return items
        .filter((event) => (event.involvedObject as { readonly name?: string }).name === name)
        .map(({ reason, message }) => `${reason}: ${message}`);
    },
  };
}

function withMeta(type: ResourceType, object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const apiVersion = type.group === "" ? type.version : `${type.group}/${type.version}`;
  const metadata = object.metadata as Record<string, unknown>;
  return {
    apiVersion,
    kind: type.kind,
    ...object,
    metadata: { ...metadata, ...(type.isNamespaced ? { namespace: NAMESPACE } : {}) },
  };
}
