// The agent's Node object and its heartbeat: the Lease in kube-node-lease where that namespace exists, the Ready condition always.
// A scheduler binds pods to nodes that are Ready; a node controller judges by the Lease.
import { arch, cpus, hostname, platform, release, totalmem } from "node:os";
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../../cluster/client.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { formatTime } from "../../lib/time.ts";

export interface NodeDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly hostIp: string;
}

export interface NodeHeartbeat {
  /** Ends the heartbeat. With `isLeaving` the node is reported not ready first. */
  stop(isLeaving: boolean): Promise<void>;
}

const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const REGISTER_RETRY_MS = 1_000;
/** How often the Ready condition is written although nothing changed; a kubelet's default. */
const STATUS_MS = 300_000;
/** As many pods as a kubelet admits by default. */
const POD_CAPACITY = "110";

/** Registers the node and keeps it alive until stopped; a server that is away is tried again. */
export function keepNode(deps: NodeDeps): NodeHeartbeat {
  const stopping = new AbortController();
  const beat = async (): Promise<void> => {
    let statusMs = Number.NEGATIVE_INFINITY;
    while (!stopping.signal.aborted) {
      let waitMs = RENEW_MS;
      try {
        if (deps.clock.nowMs() - statusMs >= STATUS_MS) {
          await writeNode(deps, true, stopping.signal);
          statusMs = deps.clock.nowMs();
        }
        await renewLease(deps, stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        deps.log.warn("node heartbeat failed", { node: deps.nodeName, error: messageOf(error) });
        statusMs = Number.NEGATIVE_INFINITY;
        waitMs = REGISTER_RETRY_MS;
      }
      await sleep(deps.clock, waitMs, stopping.signal);
    }
  };
  const beating = beat();
  return {
    async stop(isLeaving) {
      stopping.abort();
      await beating;
      if (!isLeaving) return;
      await writeNode(deps, false, AbortSignal.timeout(REGISTER_RETRY_MS)).catch((error: unknown) =>
        deps.log.debug("node not reported as leaving", { error: messageOf(error) }),
      );
    },
  };
}

async function writeNode(deps: NodeDeps, isReady: boolean, signal: AbortSignal): Promise<void> {
  const ref = { name: deps.nodeName };
  const earlier = await deps.client.get(RESOURCES.node, ref, signal);
  const node = nodeObject(deps, isReady);
  if (earlier === undefined) {
    try {
      await deps.client.create(RESOURCES.node, node, signal);
    } catch (error) {
      if (!isWeirError(error, CLUSTER_ERRORS.alreadyExists)) throw error;
    }
  }
  await deps.client.patch(
    RESOURCES.node,
    ref,
    { type: "merge", body: { status: node.status } },
    { subresource: "status", signal },
  );
}

function nodeObject(deps: NodeDeps, isReady: boolean): KubeObject {
  const now = formatTime(deps.clock.nowMs());
  const capacity = {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: POD_CAPACITY,
  };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: deps.nodeName,
      labels: {
        "kubernetes.io/hostname": deps.nodeName,
        "kubernetes.io/os": platform(),
        "kubernetes.io/arch": arch() === "x64" ? "amd64" : arch(),
      },
    },
    status: {
      capacity,
      allocatable: capacity,
      addresses: [
        { type: "InternalIP", address: deps.hostIp },
        { type: "Hostname", address: hostname() },
      ],
      conditions: [
        {
          type: "Ready",
          status: isReady ? "True" : "False",
          reason: isReady ? "AgentReady" : "AgentStopped",
          message: isReady ? "the node agent runs pods as local processes" : "the node agent has stopped",
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
      nodeInfo: {
        architecture: arch(),
        operatingSystem: platform(),
        kernelVersion: release(),
        osImage: platform(),
        containerRuntimeVersion: "weir://local-processes",
        kubeletVersion: "weir",
        kubeProxyVersion: "",
        bootID: "",
        machineID: "",
        systemUUID: "",
      },
    },
  };
}

async function renewLease(deps: NodeDeps, signal: AbortSignal): Promise<void> {
  const ref = { namespace: LEASE_NAMESPACE, name: deps.nodeName };
  const renewTime = new Date(deps.clock.nowMs()).toISOString().replace("Z", "000Z");
  const spec = { holderIdentity: deps.nodeName, leaseDurationSeconds: LEASE_SECONDS, renewTime };
  const earlier = await deps.client.get(RESOURCES.lease, ref, signal);
  if (earlier !== undefined) {
    await deps.client.patch(RESOURCES.lease, ref, { type: "merge", body: { spec } }, { signal });
    return;
  }
  // Without the namespace nobody judges by leases: the embedded server has no node controller.
  if ((await deps.client.get(RESOURCES.namespace, { name: LEASE_NAMESPACE }, signal)) === undefined) return;
  await deps.client.create(
    RESOURCES.lease,
    { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: ref, spec },
    signal,
  );
}
