// Events on objects, as `kubectl describe` shows them: one object per (thing, reason, message), counted up when it repeats.
// The order of news about one object is kept. Losing an event is never worth failing for: a write that fails is logged and dropped.
import { createHash } from "node:crypto";
import { type KubeObject, RESOURCES } from "../api/api.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { formatTime } from "../lib/time.ts";
import type { ClusterClient } from "./client.ts";
import { CLUSTER_ERRORS } from "./errors.ts";

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

/** Records an event; resolves when the server has it or it is lost. Never rejects. */
export type RecordEvent = (
  subject: EventSubject,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
) => Promise<void>;

export interface EventRecorder {
  readonly record: RecordEvent;
  /** Waits for the writes under way. */
  flush(): Promise<void>;
}

/** Longest message the API takes. */
const MESSAGE_CHARACTERS = 1024;
/** Events waiting to be written; further ones are dropped. */
const MAX_PENDING = 4096;

/** Makes a recorder. */
export function createEventRecorder(deps: EventDeps): EventRecorder {
  /** The last write under way about each object. */
  const tails = new Map<string, Promise<void>>();
  let pending = 0;

  const enqueue = (uid: string, work: () => Promise<void>): Promise<void> => {
    pending += 1;
    const done = (tails.get(uid) ?? Promise.resolve()).then(work).finally(() => {
      pending -= 1;
      if (tails.get(uid) === done) tails.delete(uid);
    });
    tails.set(uid, done);
    return done;
  };
  return {
    async record(subject, type, reason, message) {
      const about = { reason, name: subject.name };
      if (pending >= MAX_PENDING) return deps.log.warn("event dropped", about);
      await enqueue(subject.uid, async () => {
        try {
          await write(deps, subject, type, reason, message.slice(0, MESSAGE_CHARACTERS));
        } catch (error) {
          deps.log.warn("event lost", { ...about, error });
        }
      });
    },
    async flush() {
      await Promise.all(tails.values());
    },
  };
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

async function write(
  deps: EventDeps,
  subject: EventSubject,
  type: string,
  reason: string,
  message: string,
): Promise<void> {
  const now = formatTime(deps.clock.nowMs());
  const { namespace } = subject;
  // The name is computed, so that a repetition finds the event it repeats, also after a restart.
  const key = JSON.stringify([subject.uid, subject.fieldPath, type, reason, message, deps.component]);
  const name = `${subject.name}.${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
  const event: KubeObject = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace },
    involvedObject: { ...subject },
    type,
    reason,
    message,
    source: { component: deps.component, ...(deps.host === undefined ? {} : { host: deps.host }) },
    reportingComponent: deps.component,
    reportingInstance: deps.host ?? "",
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
  };
  try {
    await deps.client.create(RESOURCES.event, event);
  } catch (error) {
    if (!isWeirError(error, CLUSTER_ERRORS.alreadyExists)) throw error;
    const earlier = await deps.client.get(RESOURCES.event, { namespace, name });
    const count = (typeof earlier?.count === "number" ? earlier.count : 1) + 1;
    const body = { count, lastTimestamp: now };
    await deps.client.patch(RESOURCES.event, { namespace, name }, { type: "merge", body });
  }
}
