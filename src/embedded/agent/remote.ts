// Pods annotated `weir.dev/endpoints` stand for backends that run elsewhere. Health checks of them are not carried out yet: such a pod is
// never started as local processes, and says so instead of looking as if it served.
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import type { ClusterClient } from "../../cluster/client.ts";
import { type RecordEvent, subjectOf } from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { conditionOf, ENDPOINTS_ANNOTATION, readPod } from "./podspec.ts";
import { timestamp } from "./status.ts";

export interface RemoteDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly record: RecordEvent;
}

const REASON = "EndpointsNotCarriedOut";
const MESSAGE =
  `pods with the annotation ${ENDPOINTS_ANNOTATION} are not carried out yet: ` +
  "write an EndpointSlice for a Service without selector instead";

/** Whether the pod stands for backends elsewhere. */
export function isRemote(object: KubeObject): boolean {
  return object.metadata.annotations?.[ENDPOINTS_ANNOTATION] !== undefined;
}

/** Marks the pod as not ready with the reason, once; deletes it for good when it is to go. Never throws: the next event tries again. */
export async function answerRemote(deps: RemoteDeps, object: KubeObject): Promise<void> {
  const { name, namespace = "default", uid } = object.metadata;
  try {
    if (object.metadata.deletionTimestamp !== undefined) {
      const options = { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) };
      await deps.client.delete(RESOURCES.pod, { namespace, name }, options);
      return;
    }
    if (conditionOf(readPod(object), "Ready")?.reason === REASON) return;
    void deps.record(subjectOf(object), "Warning", REASON, MESSAGE);
    const lastTransitionTime = timestamp(deps.clock.nowMs());
    const condition = {
      type: "Ready",
      status: "False",
      reason: REASON,
      message: MESSAGE,
      lastTransitionTime,
    };
    const body = { metadata: { uid }, status: { phase: "Pending", conditions: [condition] } };
    const status = { subresource: "status" } as const;
    await deps.client.patch(RESOURCES.pod, { namespace, name }, { type: "merge", body }, status);
  } catch (error) {
    deps.log.warn("pod not answered", { pod: name, error: messageOf(error) });
  }
}
