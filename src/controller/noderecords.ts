// Writes down which proxies are connected, one ConfigMap a node group, so that a new leader knows whom to wait for.
// It also says who refuses a configuration or has been silent for a while, for whoever asks why a Rollout waits.
// Written when one of these changes, never per heartbeat; retried until it is written or overtaken by a newer list.
import { type KubeObject, RESOURCES } from "../api/api.ts";
import type { ClusterClient } from "../cluster/client.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import { createConfigMapWriter } from "./configmaps.ts";
import type { Member } from "./nodes.ts";

/** Label of the ConfigMaps that say which proxies are connected. */
const LABEL = "weir.dev/nodes";
const NAME_PREFIX = "weir-nodes-";
const RETRY_MS = 1_000;

/** A proxy that is in the way, as it is written down. */
export interface Trouble {
  readonly node: string;
  readonly why: string;
  /** Keys of Rollouts that wait for it. */
  readonly rollouts: readonly string[];
}

export interface NodeRecords {
  /** Reads what a predecessor wrote. Retries until it is read or the records are stopped. */
  load(): Promise<void>;
  /** The members written down for a group, as gone since `nowMs`: each counts until it is back or its grace has passed. */
  known(group: string, nowMs: number): readonly Member[];
  /** What was written down about them. */
  troubles(group: string): readonly Trouble[];
  /** Groups with a record from before. */
  groups(): readonly string[];
  /** Writes the members of a group and who is in the way; `done` is called when these, not older ones, are written. */
  write(group: string, members: readonly Member[], troubles: readonly Trouble[], done: () => void): void;
  /** Deletes the record of a group that is gone. */
  forget(group: string): void;
  stop(): Promise<void>;
}

export interface NodeRecordsDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** The controller's namespace. */
  readonly namespace: string;
}

/** Makes the records of one controller. */
export function createNodeRecords({ client, clock, log, namespace }: NodeRecordsDeps): NodeRecords {
  const loaded = new Map<string, NodeRecord>();
  const stopping = new AbortController();
  const writer = createConfigMapWriter({ client, clock, log, namespace, what: "the list of proxies" });

  return {
    async load() {
      while (!stopping.signal.aborted) {
        try {
          const { signal } = stopping;
          for (const record of await readNodeRecords(client, { namespace, signal }))
            loaded.set(record.group, record);
          return;
        } catch (error) {
          log.warn("the lists of proxies cannot be read, trying again", { error: messageOf(error) });
          await sleep(clock, RETRY_MS, stopping.signal);
        }
      }
    },
    known: (group, nowMs) =>
      (loaded.get(group)?.members ?? []).map((member) => ({ ...member, goneSinceMs: nowMs })),
    troubles: (group) => loaded.get(group)?.troubles ?? [],
    groups: () => [...loaded.keys()],
    write(group, members, troubles, done) {
      writer.write(recordName(group), recordOf(namespace, { group, members, troubles }), done);
    },
    forget(group) {
      loaded.delete(group);
      writer.remove(recordName(group));
    },
    async stop() {
      stopping.abort();
      await writer.stop();
    },
  };
}

/** `gateway/shop/edge` becomes `weir-nodes-gateway.shop.edge`: slashes cannot stand in names, dots can. */
function recordName(group: string): string {
  return `${NAME_PREFIX}${group.replaceAll("/", ".")}`;
}

/** What is written down about one group. */
export interface NodeRecord {
  readonly group: string;
  readonly members: readonly Member[];
  readonly troubles: readonly Trouble[];
}

/** Reads all records: of one namespace, or of all. */
export async function readNodeRecords(
  client: ClusterClient,
  options: { readonly namespace?: string; readonly signal: AbortSignal },
): Promise<readonly NodeRecord[]> {
  const { items } = await client.list(RESOURCES.configMap, { ...options, labelSelector: LABEL });
  return items.flatMap(parseRecord);
}

function recordOf(namespace: string, { group, members, troubles }: NodeRecord): KubeObject {
  const nodes = members.map(({ id, joinedMs }) => ({ id, joinedMs }));
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: recordName(group), namespace, labels: { [LABEL]: "true" } },
    data: { group, nodes: JSON.stringify(nodes), troubles: JSON.stringify(troubles) },
  };
}

/** A record that cannot be read is as good as none: whoever is connected will be written down again. */
function parseRecord(object: KubeObject): NodeRecord[] {
  const { group, nodes, troubles } = isObject(object.data) ? object.data : {};
  if (typeof group !== "string") return [];
  return [{ group, members: parseList(nodes, memberOf), troubles: parseList(troubles, troubleOf) }];
}

function parseList<T>(text: unknown, read: (value: unknown) => T[]): readonly T[] {
  if (typeof text !== "string") return [];
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed.flatMap(read) : [];
  } catch {
    return []; // damaged by hand: see above
  }
}

function memberOf(value: unknown): Member[] {
  if (!isObject(value) || typeof value.id !== "string") return [];
  return [{ id: value.id, joinedMs: typeof value.joinedMs === "number" ? value.joinedMs : 0 }];
}

function troubleOf(value: unknown): Trouble[] {
  if (!isObject(value) || typeof value.node !== "string" || typeof value.why !== "string") return [];
  const { node, why, rollouts } = value;
  const names = Array.isArray(rollouts) ? rollouts.filter((name) => typeof name === "string") : [];
  return [{ node, why, rollouts: names }];
}
