// Events on objects, as `kubectl describe` shows them: one object per (thing, reason, message), counted up when it repeats.
// Losing an event is never worth failing for: a write that fails is logged and dropped.
import { createHash } from "node:crypto";
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import type { ClusterClient } from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { isObject } from "../../lib/json.ts";
import type { Logger } from "../../lib/log.ts";

export interface EventDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shown as `From`. */
  readonly component: string;
  readonly host?: string;
}

export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Such as `spec.containers{web}`. */
  readonly fieldPath?: string;
}

/** Records an event; returns at once. */
export type RecordEvent = (
  subject: EventSubject,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
) => void;

export interface EventRecorder {
  readonly record: RecordEvent;
  /** Waits for the writes under way. */
  flush(): Promise<void>;
}

/** Longest message the API takes. */
const MESSAGE_CHARACTERS = 1024;
/** Events waiting to be written; further ones are dropped. */
const MAX_PENDING = 256;

/** Makes a recorder whose writes keep their order. */
export function createEventRecorder(deps: EventDeps): EventRecorder {
  let tail: Promise<void> = Promise.resolve();
  let pending = 0;
  return {
    record(subject, type, reason, message) {
      if (pending >= MAX_PENDING) return deps.log.warn("event dropped", { reason, name: subject.name });
      pending += 1;
      tail = tail
        .then(() => write(deps, subject, type, reason, message.slice(0, MESSAGE_CHARACTERS)))
        .catch((error: unknown) => deps.log.debug("event not written", { reason, name: subject.name, error }))
        .finally(() => {
          pending -= 1;
        });
    },
    flush: () => tail,
  };
}

async function write(
  deps: EventDeps,
  subject: EventSubject,
  type: string,
  reason: string,
  message: string,
): Promise<void> {
  const now = `${new Date(deps.clock.nowMs()).toISOString().slice(0, 19)}Z`;
  const { namespace } = subject;
  // The name is computed, so that a repetition finds the event it repeats, also after a restart.
  const key = JSON.stringify([subject.uid, subject.fieldPath, type, reason, message, deps.component]);
  const name = `${subject.name}.${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
  const earlier = await deps.client.get(RESOURCES.event, { namespace, name });
  if (earlier !== undefined) {
    const count = (typeof earlier.count === "number" ? earlier.count : 1) + 1;
    const body = { count, lastTimestamp: now };
    await deps.client.patch(RESOURCES.event, { namespace, name }, { type: "merge", body });
    return;
  }
  const event: KubeObject = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace },
    involvedObject: { ...subject },
    type,
    reason,
    message,
    source: { component: deps.component, ...(deps.host === undefined ? {} : { host: deps.host }) },
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
  };
  await deps.client.create(RESOURCES.event, event);
}

/** The subject of events on an object, or on a field of it. */
export function subjectOf(object: KubeObject, fieldPath?: string): EventSubject {
  const { apiVersion, kind, metadata } = object;
  return {
    apiVersion,
    kind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    uid: metadata.uid ?? "",
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

/** Decodes the data of a ConfigMap or Secret object. */
export function dataOf(object: KubeObject): Readonly<Record<string, string>> {
  const data = isObject(object.data) ? object.data : {};
  const isSecret = object.kind === "Secret";
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      isSecret ? Buffer.from(String(value), "base64").toString("utf8") : String(value),
    ]),
  );
}
