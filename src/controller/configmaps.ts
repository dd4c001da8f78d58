// Writes the controller's own records, one ConfigMap each: the newest content wanted of each, retried until it is written or overtaken.
import { type KubeObject, RESOURCES } from "../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../cluster/client.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

const RETRY_MS = 1_000;

export interface ConfigMapWriter {
  /** Creates the ConfigMap or sets its labels and data; `done` is called when this content, not an older one, is written. */
  write(name: string, body: KubeObject, done?: () => void): void;
  remove(name: string): void;
  /** Ends what is being written and waits for that. What is still wanted is not written. */
  stop(): Promise<void>;
}

export interface ConfigMapWriterDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly namespace: string;
  /** What the ConfigMaps hold, in the words of the log. */
  readonly what: string;
}

/** Makes a writer. Bounded by the names that are written to at one time. */
export function createConfigMapWriter(deps: ConfigMapWriterDeps): ConfigMapWriter {
  const { client, clock, log, namespace, what } = deps;
  const wanted = new Map<string, { readonly body: KubeObject | undefined; readonly done: () => void }>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const writers = new Map<string, Promise<void>>();

  const writeOnce = async (name: string, body: KubeObject | undefined): Promise<void> => {
    const ref = { namespace, name };
    if (body === undefined) return client.delete(RESOURCES.configMap, ref, { signal });
    const change = { metadata: { labels: body.metadata.labels }, data: body.data };
    try {
      await client.patch(RESOURCES.configMap, ref, { type: "merge", body: change }, { signal });
    } catch (error) {
      if (!isWeirError(error, CLUSTER_ERRORS.notFound)) throw error;
      await client.create(RESOURCES.configMap, body, signal);
    }
  };
  const work = async (name: string): Promise<void> => {
    for (let next = wanted.get(name); next !== undefined && !signal.aborted; next = wanted.get(name)) {
      try {
        await writeOnce(name, next.body);
        if (wanted.get(name) !== next) continue;
        wanted.delete(name);
        next.done();
      } catch (error) {
        log.warn(`${what} was not written, trying again`, { name, error: messageOf(error) });
        await sleep(clock, RETRY_MS, signal);
      }
    }
    writers.delete(name);
  };
  const enqueue = (name: string, body: KubeObject | undefined, done: () => void): void => {
    wanted.set(name, { body, done });
    if (!writers.has(name)) writers.set(name, work(name));
  };
  return {
    write: (name, body, done = () => undefined) => enqueue(name, body, done),
    remove: (name) => enqueue(name, undefined, () => undefined),
    async stop() {
      stopping.abort();
      await Promise.all(writers.values());
    },
  };
}
