// Writes what a pod has become to the API: the annotation with its ports, then its status; only when they differ, one write after the
// other, until they stand. A server that is away is tried again; a pod that is gone needs no status.
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../../cluster/client.ts";
import { backoffMs } from "../../lib/backoff.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Logger } from "../../lib/log.ts";
import type { PodNetwork } from "./network.ts";
import { PORTS_ANNOTATION, type PodStatus, readPod } from "./podspec.ts";

export interface StatusDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
}

const WRITE_RETRY = { baseMs: 200, maxMs: 10_000 } as const;

export interface StatusSource {
  readonly object: () => KubeObject;
  readonly network: () => PodNetwork | undefined;
  /** Annotations besides the ports. Default: none. */
  readonly annotations?: () => Readonly<Record<string, string>>;
  readonly status: () => PodStatus;
  /** Nothing is to be written: not yet, or no longer. */
  readonly isSilent: () => boolean;
  readonly onWritten: (object: KubeObject) => void;
}

export interface StatusWriter {
  /** Something may have changed. */
  poke(): void;
  /** Waits until the newest status is written or refused. */
  flush(): Promise<void>;
  /** Ends after the write under way. */
  close(): Promise<void>;
}

/** Writes annotation and status one after the other, only when they differ, until they stand. */
export function createStatusWriter(deps: StatusDeps, source: StatusSource): StatusWriter {
  const closing = new AbortController();
  let isDirty = false;
  let writing: Promise<void> | undefined;
  const loop = async (): Promise<void> => {
    for (let failures = 0; isDirty && !source.isSilent() && !closing.signal.aborted; ) {
      isDirty = false;
      try {
        await writeOnce(deps, source);
        failures = 0;
      } catch (error) {
        if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.conflict))
          return;
        const { name } = source.object().metadata;
        deps.log.warn("pod status not written", { pod: name, error: messageOf(error) });
        isDirty = true;
        await sleep(deps.clock, backoffMs(failures, WRITE_RETRY), closing.signal);
        failures += 1;
      }
    }
  };
  const poke = (): void => {
    isDirty = true;
    writing ??= loop().finally(() => {
      writing = undefined;
      if (isDirty && !source.isSilent() && !closing.signal.aborted) poke();
    });
  };
  return {
    poke,
    async flush() {
      poke();
      await writing;
    },
    async close() {
      closing.abort();
      await writing;
    },
  };
}

async function writeOnce(deps: StatusDeps, source: StatusSource): Promise<void> {
  const { namespace, name, uid } = source.object().metadata;
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  // Annotations first: whoever sees the address shall find the ports.
  const present = source.object().metadata.annotations ?? {};
  const annotations = { ...portsOf(source.network()), ...source.annotations?.() };
  if (Object.entries(annotations).some(([key, value]) => present[key] !== value)) {
    const body = { metadata: { uid, annotations } };
    source.onWritten(await deps.client.patch(RESOURCES.pod, ref, { type: "merge", body }));
  }
  const status = source.status();
  if (jsonEqual(readPod(source.object()).status, { ...readPod(source.object()).status, ...status })) return;
  // The uid makes sure that a namesake created meanwhile does not get it.
  const body = { metadata: { uid }, status };
  source.onWritten(
    await deps.client.patch(RESOURCES.pod, ref, { type: "merge", body }, { subresource: "status" }),
  );
}

/** Only ports that are not as declared need saying. */
function portsOf(network: PodNetwork | undefined): Readonly<Record<string, string>> {
  const ports = network?.ports ?? {};
  const isAsDeclared = Object.entries(ports).every(([port, actual]) => Number(port) === actual);
  return isAsDeclared ? {} : { [PORTS_ANNOTATION]: JSON.stringify(ports) };
}

/** The later of two versions of one object; versions of a kind compare as numbers. */
export function newer(a: KubeObject, b: KubeObject): KubeObject {
  return Number(b.metadata.resourceVersion) >= Number(a.metadata.resourceVersion) ? b : a;
}
