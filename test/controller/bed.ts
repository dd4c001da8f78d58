// A cluster for the controller's tests: the embedded API server in memory, its workload controllers, a stand-in for the kubelet that
// makes every pod ready, real controllers over the in-process transport, and proxies that speak real gRPC with them through a relay.
import type { Test } from "tap";
import {
  type KubeObject,
  RESOURCES,
  type ResourceType,
  type Rollout,
  readRollout,
} from "../../src/api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createClusterClient,
  createReflector,
  type Transport,
  type TransportRequest,
  type TransportResponse,
} from "../../src/cluster/client.ts";
import {
  type Controller,
  type ControllerOptions,
  createController,
} from "../../src/controller/controller.ts";
import {
  createEmbeddedServer,
  type EmbeddedServer,
  startWorkloadControllers,
} from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { isWeirError, WeirError } from "../../src/lib/errors.ts";
import { createLogger, silentLogger } from "../../src/lib/log.ts";
import { type BareClient, bareClient } from "../support/xds.ts";
import { GROUP, type ProxyOptions, startProxy, type TestProxy } from "./proxies.ts";
import { createRelay, type Relay } from "./relay.ts";
import { createWarpClock, type WarpClock } from "./warp.ts";

export const NAMESPACE = "default";
export const SYSTEM = "weir-system";
export const RECORD = "weir-nodes-gateway.default.edge";
const TIMEOUT_MS = 10_000;

/** A controller with its connections in the test's hands. */
export interface Leader {
  readonly controller: Controller;
  /** `host:port` of its xDS server. */
  readonly xdsAddress: string;
  /** Between its proxies and its xDS server. */
  readonly relay: Relay;
  /** Every request that it made, `METHOD path`. */
  readonly requests: readonly string[];
  /** Proxies and API are lost from one moment to the next, nothing is released. */
  kill(): void;
  /** Makes the API refuse these requests until called with nothing. */
  fail(isFailing?: (request: TransportRequest) => boolean, error?: WeirError): void;
  /** Ends the watches of a kind; the next one is answered with 410, so that it is listed anew. */
  expire(plural: string): void;
}

export interface Bed {
  readonly server: EmbeddedServer;
  readonly client: ClusterClient;
  readonly clock: WarpClock;
  /** Starts a controller; with `isLeading` (the default) waits until it serves xDS. */
  lead(options?: Partial<ControllerOptions> & { readonly isLeading?: boolean }): Promise<Leader>;
  proxy(leaders: readonly Leader[], id: string, options?: Partial<ProxyOptions>): TestProxy;
  /** A client that says only what it is told to. */
  bare(leader: Leader, id: string, group?: string): BareClient;
  rollout(name?: string): Promise<Rollout>;
  patch(type: ResourceType, name: string, body: unknown, subresource?: "status"): Promise<KubeObject>;
  /** Waits until version 1 is there and these proxies serve it; returns its hash. */
  ready(...proxies: readonly TestProxy[]): Promise<string>;
  /** Sets another image, and so asks for another version. */
  image(tag: string): Promise<void>;
  /** Waits until `look` gives something, and returns it; fails with `what` and the Rollout as it stands. */
  until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<NonNullable<T>>;
  /** Waits until the Rollout is as wanted. */
  untilRollout(what: string, isWanted: (rollout: Rollout) => boolean): Promise<Rollout>;
  /** Fails when the claim stops being true within the next moments, in which everything that could happen does. */
  holds(what: string, claim: (rollout: Rollout) => boolean): Promise<void>;
  /** Pods wanted of the ReplicaSet with this hash. */
  replicasOf(hash: string | undefined): Promise<number>;
}

/** Builds the bed, with one Gateway of class weir and a Rollout behind it. Leaders and proxies are the test's to start. */
export async function controllerBed(t: Test, spec: Readonly<Record<string, unknown>> = {}): Promise<Bed> {
  const server = await createEmbeddedServer({ stateDir: ":memory:", clock: systemClock, log: silentLogger });
  t.teardown(() => server.close());
  // In-process watches are no handles that keep a program alive.
  const stay = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(stay));
  const client = createClusterClient(server.transport());
  const workloads = startWorkloadControllers({ client, clock: systemClock, log: silentLogger });
  t.teardown(() => workloads.stop());
  await workloads.ready;
  startKubelet(t, client);
  for (const object of manifests(spec)) await client.create(object.type, object.body);
  return new TestBed(t, server, client);
}

class TestBed implements Bed {
  readonly server: EmbeddedServer;
  readonly client: ClusterClient;
  readonly clock = createWarpClock();
  readonly #t: Test;

  constructor(t: Test, server: EmbeddedServer, client: ClusterClient) {
    this.#t = t;
    this.server = server;
    this.client = client;
  }

  lead(options?: Parameters<Bed["lead"]>[0]): Promise<Leader> {
    return startLeader(this.#t, this, options);
  }

  proxy(leaders: readonly Leader[], id: string, options?: Partial<ProxyOptions>): TestProxy {
    return startProxy(this.#t, { id, addresses: leaders.map(({ relay }) => relay.address), ...options });
  }

  bare(leader: Leader, id: string, group = GROUP): BareClient {
    const made = bareClient(leader.xdsAddress, id, group);
    this.#t.teardown(() => made.close());
    return made;
  }

  async rollout(name = "web"): Promise<Rollout> {
    const object = await this.client.get(RESOURCES.rollout, { namespace: NAMESPACE, name });
    if (object === undefined) throw new Error(`no rollout ${name}`);
    return readRollout(object).value;
  }

  patch(type: ResourceType, name: string, body: unknown, subresource?: "status"): Promise<KubeObject> {
    const patch = { type: "merge", body } as const;
    return this.client.patch(type, { namespace: NAMESPACE, name }, patch, subresource && { subresource });
  }

  async ready(...proxies: readonly TestProxy[]): Promise<string> {
    const { status } = await this.untilRollout(
      "version 1 is healthy",
      (now) =>
        now.status.phase === "Healthy" &&
        (proxies.length === 0 || now.status.canary?.weights?.verified === true),
    );
    const hash = status.stableRS ?? "";
    await this.until("all proxies serve version 1", () =>
      proxies.every((proxy) => proxy.weights()?.[hash] === 100),
    );
    return hash;
  }

  async image(tag: string): Promise<void> {
    await this.patch(RESOURCES.rollout, "web", { spec: templateOf(tag) });
  }

  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<NonNullable<T>> {
    const deadlineMs = Date.now() + TIMEOUT_MS;
    for (;;) {
      const found = await look();
      if (found !== undefined && found !== null && found !== false) return found as NonNullable<typeof found>;
      if (Date.now() > deadlineMs) {
        const now = await this.rollout().catch((error: unknown) => error);
        throw new Error(
          `not within ${TIMEOUT_MS} ms: ${what}\n${JSON.stringify((now as Rollout).status ?? now, undefined, 1)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  untilRollout(what: string, isWanted: (rollout: Rollout) => boolean): Promise<Rollout> {
    return this.until(what, async () => {
      const now = await this.rollout();
      return isWanted(now) ? now : undefined;
    });
  }

  async holds(what: string, claim: (rollout: Rollout) => boolean): Promise<void> {
    const untilMs = Date.now() + 250;
    while (Date.now() < untilMs) {
      const now = await this.rollout();
      if (!claim(now)) throw new Error(`no longer: ${what}\n${JSON.stringify(now.status, undefined, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async replicasOf(hash: string | undefined): Promise<number> {
    const { items } = await this.client.list(RESOURCES.replicaSet, {
      namespace: NAMESPACE,
      labelSelector: `rollouts-pod-template-hash=${hash}`,
    });
    return Number((items[0]?.spec as { readonly replicas?: number } | undefined)?.replicas ?? 0);
  }
}

/** Sets the weight that the proxies should have for the canary, in the words of `TestProxy.weights`. */
export function canaryWeight(proxy: TestProxy, rollout: Rollout): number {
  return proxy.weights()?.[rollout.status.currentPodHash ?? ""] ?? 0;
}

async function startLeader(
  t: Test,
  bed: Bed,
  { isLeading = true, ...options }: Parameters<Bed["lead"]>[0] = {},
): Promise<Leader> {
  const requests: string[] = [];
  let isFailing: (request: TransportRequest) => boolean = () => false;
  let isDead = false;
  const life = new AbortController();
  const watches = new Map<string, AbortController>();
  const expired = new Set<string>();
  const inner = bed.server.transport();
  const down = new WeirError({ code: CLUSTER_ERRORS.unavailable, message: "connection refused" });
  let failure = down;
  const transport: Transport = {
    request(request) {
      if (isDead) return Promise.reject(down);
      requests.push(`${request.method} ${request.path}`);
      if (isFailing(request)) return Promise.reject(failure);
      const signals = [life.signal, ...(request.signal === undefined ? [] : [request.signal])];
      if (request.path.includes("watch=")) {
        const plural = request.path.split("?")[0]?.split("/").at(-1) ?? "";
        if (expired.delete(plural)) return Promise.resolve(gone());
        const watch = new AbortController();
        watches.set(plural, watch);
        signals.push(watch.signal);
      }
      return inner.request({ ...request, signal: AbortSignal.any(signals) });
    },
    close: () => inner.close(),
  };
  const controller = createController({
    client: createClusterClient(transport),
    clock: bed.clock,
    log: process.env.WEIR_TEST_LOG ? createLogger({ level: "debug" }) : silentLogger,
    namespace: SYSTEM,
    identity: `leader-${Math.random()}`,
    xdsPort: 0,
    bindAddress: "127.0.0.1",
    lease: { leaseMs: 3_600_000, renewMs: 3_000_000, retryMs: 100 },
    ...options,
  });
  const { xdsAddress } = await controller.start();
  t.teardown(() => controller.stop());
  const relay = await createRelay(t, xdsAddress);
  if (isLeading) await bed.until("the controller leads", () => controller.isLeading());
  return {
    controller,
    xdsAddress,
    relay,
    requests,
    kill() {
      isDead = true;
      life.abort();
      relay.cut();
    },
    fail(next = () => false, error = down) {
      isFailing = next;
      failure = error;
    },
    expire(plural) {
      expired.add(plural);
      watches.get(plural)?.abort();
    },
  };
}

/** The answer to a watch whose history is gone. */
function gone(): TransportResponse {
  const status = {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    reason: "Expired",
    code: 410,
    message: "too old",
  };
  const body = (async function* () {
    yield Buffer.from(JSON.stringify(status));
  })();
  return { status: 410, headers: { "content-type": "application/json" }, body };
}

/** Makes every pod ready as soon as it is seen. */
function startKubelet(t: Test, client: ClusterClient): void {
  const pods = createReflector({ client, type: RESOURCES.pod, clock: systemClock, log: silentLogger });
  let count = 0;
  const makeReady = async (pod: KubeObject): Promise<void> => {
    count += 1;
    const status = {
      phase: "Running",
      podIP: `10.0.0.${(count % 250) + 1}`,
      podIPs: [{ ip: `10.0.0.${(count % 250) + 1}` }],
      conditions: [
        {
          type: "Ready",
          status: "True",
          lastTransitionTime: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
        },
      ],
    };
    const { namespace = NAMESPACE, name } = pod.metadata;
    try {
      await client.patch(
        RESOURCES.pod,
        { namespace, name },
        { type: "merge", body: { status } },
        { subresource: "status" },
      );
    } catch (error) {
      // Deleted meanwhile.
      if (!isWeirError(error, CLUSTER_ERRORS.notFound)) throw error;
    }
  };
  pods.subscribe((event) => {
    if (event.kind === "added") void makeReady(event.object);
  });
  pods.start();
  t.teardown(() => pods.stop());
}

const templateOf = (tag: string) => ({
  template: {
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "web", image: `web:${tag}`, ports: [{ containerPort: 8080 }] }] },
  },
});

function manifests(
  spec: Readonly<Record<string, unknown>>,
): readonly { readonly type: ResourceType; readonly body: KubeObject }[] {
  const meta = (name: string) => ({ name, namespace: NAMESPACE });
  const service = (name: string) => ({
    type: RESOURCES.service,
    body: {
      apiVersion: "v1",
      kind: "Service",
      metadata: meta(name),
      spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  });
  return [
    gateway("edge", 8000),
    service("web"),
    service("web-canary"),
    { type: RESOURCES.rollout, body: rolloutNamed("web", spec) },
  ];
}

/** A Gateway of class weir with one listener. */
export function gateway(
  name: string,
  port: number,
): { readonly type: ResourceType; readonly body: KubeObject } {
  return {
    type: RESOURCES.gateway,
    body: {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: { name, namespace: NAMESPACE },
      spec: { gatewayClassName: "weir", listeners: [{ name: "http", port, protocol: "HTTP" }] },
    },
  };
}

/** A Rollout of two pods with weir's router, steps 20 % and 60 %, without pauses; `spec` overrides, `canary` the strategy's fields. */
export function rolloutNamed(name: string, spec: Readonly<Record<string, unknown>> = {}): KubeObject {
  const { canary, ...rest } = spec;
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name, namespace: NAMESPACE },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "web" } },
      ...templateOf("1"),
      strategy: {
        canary: {
          stableService: "web",
          canaryService: "web-canary",
          trafficRouting: { plugins: { "weir.dev/proxy": {} } },
          steps: [{ setWeight: 20 }, { setWeight: 60 }],
          scaleDownDelaySeconds: 30,
          ...(canary as object | undefined),
        },
      },
      ...rest,
    },
  };
}
