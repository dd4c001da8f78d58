// Writes Kubernetes events, in order. A repeat of the same news about the same object raises the count of the event that said it first,
// as client-go's recorder does. Losing an event is logged and never fails a pass.
import { apiVersionOf, type KubeObject, RESOURCES, type ResourceType } from "../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

/** How many different events are remembered for counting; the oldest is forgotten first. */
const MAX_REMEMBERED = 4096;
const COMPONENT = "rollouts-controller";

export interface EventNews {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorder {
  /** Writes the event; resolves when the server has it or it is lost. */
  record(type: ResourceType, about: KubeObject, news: EventNews): Promise<void>;
}

export interface EventRecorderDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Remembered {
  readonly name: string;
  count: number;
}

/** Makes a recorder. */
export function createEventRecorder({ client, clock, log }: EventRecorderDeps): EventRecorder {
  const remembered = new Map<string, Remembered>();
  let lastStamp = 0;

  /** A number that grows with every event of this process, so that names neither collide nor repeat. */
  const stamp = (): string => {
    lastStamp = Math.max(lastStamp + 1, clock.nowMs() * 1000);
    return lastStamp.toString(16);
  };

  const bump = async (namespace: string, known: Remembered): Promise<boolean> => {
    const patch = { count: known.count + 1, lastTimestamp: rfc3339(clock.nowMs()) };
    try {
      await client.patch(RESOURCES.event, { namespace, name: known.name }, { type: "merge", body: patch });
      known.count += 1;
      return true;
    } catch (error) {
      if (isWeirError(error, CLUSTER_ERRORS.notFound)) return false;
      throw error;
    }
  };

  const write = async (type: ResourceType, about: KubeObject, news: EventNews): Promise<void> => {
    const namespace = about.metadata.namespace ?? "default";
    const key = [about.metadata.uid, news.type, news.reason, news.message].join("\n");
    const known = remembered.get(key);
    if (known !== undefined && (await bump(namespace, known))) return;
    const name = `${about.metadata.name}.${stamp()}`;
    await client.create(RESOURCES.event, eventObject(name, namespace, type, about, news, clock.nowMs()));
    remembered.delete(key);
    remembered.set(key, { name, count: 1 });
    const oldest = remembered.keys().next();
    if (remembered.size > MAX_REMEMBERED && !oldest.done) remembered.delete(oldest.value);
  };

  return {
    async record(type, about, news) {
      try {
        await write(type, about, news);
      } catch (error) {
        log.warn("event lost", { reason: news.reason, about: about.metadata.name, error });
      }
    },
  };
}

/** RFC 3339 with whole seconds, as metav1.Time is written. */
export function rfc3339(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z");
}

function eventObject(
  name: string,
  namespace: string,
  type: ResourceType,
  about: KubeObject,
  news: EventNews,
  nowMs: number,
): KubeObject {
  const { uid, resourceVersion } = about.metadata;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace },
    involvedObject: {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      namespace: about.metadata.namespace,
      name: about.metadata.name,
      uid,
      resourceVersion,
    },
    type: news.type,
    reason: news.reason,
    message: news.message,
    source: { component: COMPONENT },
    reportingComponent: COMPONENT,
    reportingInstance: "",
    firstTimestamp: rfc3339(nowMs),
    lastTimestamp: rfc3339(nowMs),
    count: 1,
  };
}
