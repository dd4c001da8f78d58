// Evictions: asking the API to take a pod away, which it refuses where a disruption budget says so.
import { RESOURCES } from "../api/api.ts";
import { isWeirError } from "../lib/errors.ts";
import type { ClusterClient, ObjectRef } from "./client.ts";
import { CLUSTER_ERRORS, statusOf } from "./errors.ts";
import { objectPath } from "./paths.ts";

/** What came of it. A pod that is gone, or another of its name, counts as evicted. */
export type Eviction =
  | { readonly kind: "evicted" }
  | { readonly kind: "refused" /** The server's own. */; readonly words: string };

/** 429: a disruption budget, or a busy server. 500 with a `Status`: more than one budget selects the pod, which the API does not decide. */
const REFUSED: ReadonlySet<unknown> = new Set([429, 500]);

/** Asks for the pod of that uid to be evicted. Throws when the server did not decide. */
export async function evictPod(
  client: Pick<ClusterClient, "request">,
  ref: ObjectRef,
  uid: string,
  signal: AbortSignal,
): Promise<Eviction> {
  const body = {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name: ref.name, namespace: ref.namespace },
    deleteOptions: { preconditions: { uid } },
  };
  try {
    await client.request("POST", objectPath(RESOURCES.pod, ref, "eviction"), { body, signal });
    return { kind: "evicted" };
  } catch (error) {
    if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.conflict))
      return { kind: "evicted" };
    if (!isWeirError(error) || !REFUSED.has(error.context.httpStatus)) throw error;
    const message = statusOf(error)?.message;
    if (typeof message !== "string") throw error;
    return { kind: "refused", words: message };
  }
}
