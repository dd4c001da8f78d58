// A pod annotated `weir.dev/endpoints` stands for backends that run elsewhere: nothing is started; each backend is checked by the readiness
// probe of the first container (at the backend's address and port; without one by a connection), and the pod is ready while any of them is.
// Which ones are is an annotation, from which the EndpointSlice controller makes their slices.
import {
  ENDPOINTS_ANNOTATION,
  HEALTHY_ENDPOINTS_ANNOTATION,
  type KubeObject,
  RESOURCES,
} from "../../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient, type RecordEvent, subjectOf } from "../../cluster/client.ts";
import { backoffMs } from "../../lib/backoff.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { formatTime } from "../../lib/time.ts";
import { type Endpoint, endpointsOf } from "./endpoints.ts";
import { type ContainerStatus, type Pod, type PodStatus, type Probe, readPod } from "./podspec.ts";
import { runProbe } from "./probe.ts";
import { podStatus } from "./status.ts";
import { createStatusWriter, newer } from "./statuswriter.ts";

export interface RemoteDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly record: RecordEvent;
  readonly hostIp: string;
}

export interface RemotePod {
  /** The newest object. A deletionTimestamp ends it. */
  update(object: KubeObject): void;
  /** Ends the checks. Idempotent. */
  stop(): Promise<void>;
}

/** A backend without a readiness probe counts as healthy while it takes connections. */
const CONNECTION_CHECK: Probe = { periodSeconds: 2, failureThreshold: 2 };
const DELETE_RETRY = { baseMs: 200, maxMs: 10_000 } as const;
const INVALID = "InvalidEndpoints";

/** Takes charge of such a pod. */
export function createRemotePod(deps: RemoteDeps, first: KubeObject): RemotePod {
  const { clock } = deps;
  const stopping = new AbortController();
  const healthy = new Set<string>();
  const startedAtMs = clock.nowMs();
  let object = first;
  let checked: string | undefined;
  let checks = new AbortController();
  let ending: Promise<void> | undefined;
  const writer = createStatusWriter(deps, {
    object: () => object,
    network: () => undefined,
    annotations: () => ({ [HEALTHY_ENDPOINTS_ANNOTATION]: [...healthy].sort().join(",") }),
    status: () => remoteStatus(readPod(object), deps.hostIp, healthy, startedAtMs, clock.nowMs()),
    isSilent: () => stopping.signal.aborted,
    onWritten: (written) => {
      object = newer(object, written);
    },
  });
  const check = (): void => {
    const text = object.metadata.annotations?.[ENDPOINTS_ANNOTATION];
    if (text === checked) return;
    checked = text;
    checks.abort();
    checks = new AbortController();
    healthy.clear();
    const pod = readPod(object);
    const found = endpointsOf(pod);
    if (found.kind === "invalid") {
      void deps.record(subjectOf(object), "Warning", INVALID, found.message);
      return;
    }
    const probe = probeOf(
      pod,
      (words) => void deps.record(subjectOf(object), "Warning", "NotCarriedOut", words),
    );
    const signal = AbortSignal.any([checks.signal, stopping.signal]);
    for (const endpoint of found.endpoints) watch(deps, probe, endpoint, healthy, writer.poke, signal);
  };
  const end = async (): Promise<void> => {
    checks.abort();
    await remove(deps, object, stopping.signal);
  };
  const update = (next: KubeObject): void => {
    object = newer(object, next);
    if (object.metadata.deletionTimestamp !== undefined) {
      ending ??= end();
      return;
    }
    check();
    writer.poke();
  };
  update(first);
  return {
    update,
    async stop() {
      stopping.abort();
      await writer.close();
      await ending;
    },
  };
}

/** Checks one backend until the signal aborts. */
function watch(
  { clock }: RemoteDeps,
  probe: Probe,
  { address, port }: Endpoint,
  healthy: Set<string>,
  onChange: () => void,
  signal: AbortSignal,
): void {
  const name = `${address}:${port}`;
  const change = (isHealthy: boolean): void => {
    if (signal.aborted || healthy.has(name) === isHealthy) return;
    if (isHealthy) healthy.add(name);
    else healthy.delete(name);
    onChange();
  };
  // Never rejects: every failure of an attempt is a verdict.
  void runProbe({
    clock,
    probe,
    target: { podIp: address, portOf: () => port, env: {}, cwd: "/" },
    startedAtMs: clock.nowMs(),
    signal,
    onSuccess: () => change(true),
    onFailure: () => change(false),
  });
}

/** The first container's readiness probe, to be asked of a backend elsewhere. */
function probeOf(pod: Pod, report: (words: string) => void): Probe {
  const asked = pod.spec.containers?.[0]?.readinessProbe;
  const { httpGet, exec, grpc, ...times } = asked ?? CONNECTION_CHECK;
  if (exec !== undefined || grpc !== undefined)
    report("exec and gRPC probes cannot be asked of backends elsewhere: they are checked by a connection");
  if (httpGet === undefined) return { ...times, tcpSocket: { port: 0 } };
  const { host: _host, ...request } = httpGet;
  return { ...times, httpGet: request };
}

function remoteStatus(
  pod: Pod,
  hostIp: string,
  healthy: ReadonlySet<string>,
  startedAtMs: number,
  nowMs: number,
): PodStatus {
  const found = endpointsOf(pod);
  const waiting = found.kind === "invalid" ? { reason: INVALID, message: found.message } : undefined;
  const startedAt = formatTime(Date.parse(pod.status.startTime ?? "") || startedAtMs);
  const statuses = (pod.spec.containers ?? []).map(
    ({ name, image = "" }): ContainerStatus => ({
      name,
      image,
      imageID: "",
      state: waiting === undefined ? { running: { startedAt } } : { waiting },
      lastState: {},
      ready: healthy.size > 0,
      started: waiting === undefined,
      restartCount: 0,
    }),
  );
  const podIp = found.kind === "ok" ? found.endpoints[0]?.address : undefined;
  // Init containers have nothing to prepare here.
  const alone = { ...pod, spec: { ...pod.spec, initContainers: [] } };
  return podStatus({ pod: alone, hostIp, podIp, startedAtMs, initStatuses: [], statuses }, nowMs);
}

/** Deletes the object for good; the API may be away. */
async function remove(deps: RemoteDeps, object: KubeObject, signal: AbortSignal): Promise<void> {
  const { name, namespace = "default", uid } = object.metadata;
  const options = { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) };
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await deps.client.delete(RESOURCES.pod, { namespace, name }, options);
      return;
    } catch (error) {
      // Gone, or another pod bears the name by now.
      if (isWeirError(error, CLUSTER_ERRORS.conflict) || isWeirError(error, CLUSTER_ERRORS.notFound)) return;
      deps.log.warn("pod not yet deleted", { pod: name, error: messageOf(error) });
      await sleep(deps.clock, backoffMs(failures, DELETE_RETRY), signal);
    }
  }
}
