// Proxies for the controller's tests: the real ADS client over real gRPC, whose verdict and connection a test decides.
import type { Test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createXdsClient, EPOCH_KEY, type LoadSample, type XdsUpdate } from "../../src/xds/client.ts";
import { create, NodeSchema } from "../../src/xds/types.ts";

export const GROUP = "gateway/default/edge";

export interface TestProxy {
  readonly id: string;
  /** Takes every configuration (the first state). */
  accept(): void;
  /** Refuses every change of routes with these words. */
  refuse(words: string): void;
  /** Answers no change of routes until told otherwise: an open but silent stream. */
  hang(): void;
  /** Configurations taken so far. */
  readonly taken: readonly XdsUpdate[];
  /** Weights by the last part of the clusters' names in the routes in force; undefined before there are any. */
  weights(): Readonly<Record<string, number>> | undefined;
  isConnected(): boolean;
  close(): void;
}

export interface ProxyOptions {
  readonly id: string;
  readonly addresses: readonly string[];
  readonly group?: string;
  readonly epoch?: string;
  readonly loads?: () => readonly LoadSample[];
}

/** Starts a proxy. It ends with the test. */
export function startProxy(
  t: Test,
  { id, addresses, group = GROUP, epoch = "1", loads }: ProxyOptions,
): TestProxy {
  const taken: XdsUpdate[] = [];
  let mode: "accept" | "refuse" | "hang" = "accept";
  let words = "";
  let wake: () => void = () => undefined;
  const change = (next: typeof mode): void => {
    mode = next;
    wake();
  };
  const client = createXdsClient({
    addresses,
    node: create(NodeSchema, { id, cluster: group, metadata: { [EPOCH_KEY]: epoch } }),
    clock: systemClock,
    log: silentLogger,
    random: () => 0,
    ...(loads !== undefined && { reportLoads: loads }),
    async onUpdate(update) {
      while (mode === "hang" && update.changed === "routes") {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (mode === "refuse" && update.changed === "routes") return { kind: "rejected", message: words };
      taken.push(update);
      return { kind: "ok" };
    },
  });
  client.start();
  const close = (): void => {
    client.close();
    change("accept");
  };
  t.teardown(close);
  return {
    id,
    taken,
    accept: () => change("accept"),
    refuse(message) {
      words = message;
      change("refuse");
    },
    hang: () => change("hang"),
    weights: () => weightsOf(taken.at(-1)),
    isConnected: () => client.status().connectedTo !== undefined,
    close,
  };
}

function weightsOf(update: XdsUpdate | undefined): Readonly<Record<string, number>> | undefined {
  const action = update?.routes[0]?.virtualHosts[0]?.routes[0]?.action;
  if (action?.case !== "route") return undefined;
  const { clusterSpecifier: to } = action.value;
  const last = (name: string): string => name.split("/").at(-1) ?? "";
  if (to.case === "cluster") return { [last(to.value)]: 100 };
  if (to.case !== "weightedClusters") return undefined;
  return Object.fromEntries(to.value.clusters.map(({ name, weight }) => [last(name), weight ?? 0]));
}
