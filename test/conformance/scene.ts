// What the conformance cases share: the server under test, objects to work with, and how failures are looked at.
import { setTimeout as wait } from "node:timers/promises";
import type { Test } from "tap";
import type { KubeObject } from "../../src/api/api.ts";
import { type ClusterClient, statusOf } from "../../src/cluster/client.ts";
import { isWeirError, type WeirError } from "../../src/lib/errors.ts";

/** A server under test. */
export interface Server {
  readonly client: ClusterClient;
  /** Makes a namespace and returns its name. */
  namespace(): Promise<string>;
  /** Returns a resourceVersion that watches can no longer go on from. */
  expiredVersion(namespace: string): Promise<string>;
  /**
   * Exemption: pods of the embedded server share 127.0.0.1, so its EndpointSlices may hold it. Kubernetes refuses loopback.
   */
  readonly acceptsLoopbackEndpoints: boolean;
}

/** What a case gets: the server and a namespace of its own. */
export interface Scene {
  readonly server: Server;
  readonly client: ClusterClient;
  readonly namespace: string;
}

export interface Case {
  /** `subject: claim`. */
  readonly name: string;
  run(t: Test, scene: Scene): Promise<void>;
}

/** A ConfigMap: the plainest object there is. */
export function aConfigMap(
  namespace: string,
  name: string,
  data: Readonly<Record<string, string>> = {},
  metadata: Partial<KubeObject["metadata"]> = {},
): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, ...metadata }, data };
}

/** A valid Rollout: a kind that Kubernetes serves from a CRD, with status and scale. */
export function aRollout(namespace: string, name: string, replicas = 2): KubeObject {
  const labels = { app: name };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "web", image: "web:1" }] } },
      strategy: { canary: { steps: [{ setWeight: 20 }] } },
    },
  };
}

/** A valid ReplicaSet of no pods. */
export function aReplicaSet(namespace: string, name: string): KubeObject {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "web", image: "web:1", env: [{ name: "A", value: "1" }] }] },
      },
    },
  };
}

/** The error that `promise` ends with. */
export async function failure(promise: Promise<unknown>): Promise<WeirError> {
  try {
    await promise;
  } catch (error) {
    if (isWeirError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Fails unless `promise` ends with that code, HTTP status and Status reason. */
export async function refused(
  t: Test,
  promise: Promise<unknown>,
  expected: { readonly code: string; readonly httpStatus: number; readonly reason: string },
): Promise<void> {
  const error = await failure(promise);
  const { httpStatus } = error.context;
  const reason = statusOf(error)?.reason;
  t.strictSame({ code: error.code, httpStatus, reason }, expected, error.message);
}

/** Looks again until `look` gives a value: for what a server's controllers do in their own time. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const untilMs = Date.now() + EVENTUALLY_MS; Date.now() < untilMs; await wait(50)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`not within ${EVENTUALLY_MS} ms: ${what}`);
}

const EVENTUALLY_MS = 30_000;
