// A proxy with everything on that follows a control plane in this process: weir's own ADS server, publishing what the bench says.
import { join } from "node:path";
import { gatewayBootstrap } from "../../src/embedded/gateway/bootstrap.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createXdsServer, type XdsServer } from "../../src/xds/server.ts";
import {
  ClusterSchema,
  fromJson,
  ListenerSchema,
  RouteConfigurationSchema,
  registry,
  type XdsSnapshot,
} from "../../src/xds/types.ts";
import { asked, type Running, startWeir } from "./contenders.ts";
import { cluster, fullHosts, fullManager, GUARDS, type Json, listener, manager } from "./rivals/bootstrap.ts";
import { freePorts, type Stage } from "./stage.ts";

const GROUP = "gateway/default/bench";
const ACK_MS = 20_000;

export interface Controlled extends Running {
  readonly server: XdsServer;
  /** Publishes the canary's share (0 to 100) and resolves when the proxy has acknowledged it. */
  publish(canary: number): Promise<void>;
}

/** Starts both; the configuration is in force. `hostsOf` are the virtual hosts for a canary's share. */
export async function startControlled(
  stage: Stage,
  origin: number,
  hostsOf: (canary: number) => Json[] = fullHosts,
): Promise<Controlled> {
  const port = await freePorts(2);
  const log = join(stage.folder, `weir-${port}.log`);
  const server = createXdsServer({ clock: systemClock, log: silentLogger });
  stage.defer(() => server.close());
  const xds = await server.listen({ port: 0 });
  const publish = publisher(server, snapshots({ port, origin, log, hostsOf }));
  const first = publish(10);
  const bootstrap = gatewayBootstrap({
    nodeId: "default/bench",
    group: GROUP,
    adminPort: port + 1,
    xdsAddress: `127.0.0.1:${xds.port}`,
  }) as Json; // Made of literals alone.
  const running = await startWeir(stage, port, bootstrap, asked("full"));
  await first;
  return { ...running, server, publish };
}

function publisher(
  server: XdsServer,
  snapshotOf: (canary: number) => XdsSnapshot,
): (canary: number) => Promise<void> {
  return (canary) => {
    const seq = server.setSnapshot(GROUP, snapshotOf(canary));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`version ${seq} is not acknowledged: ${JSON.stringify(server.nodes(GROUP))}`));
      }, ACK_MS);
      const look = (): void => {
        if (!server.nodes(GROUP).some((node) => node.ackedSeq >= seq)) return;
        clearTimeout(timer);
        stop();
        resolve();
      };
      const stop = server.onChange(look);
      look();
    });
  };
}

interface Published {
  readonly port: number;
  readonly origin: number;
  readonly log: string;
  readonly hostsOf: (canary: number) => Json[];
}

/** Snapshots that differ in the routes' weights; the rest is made once. */
function snapshots({ port, origin, log, hostsOf }: Published): (canary: number) => XdsSnapshot {
  const ads = { ads: {}, resource_api_version: "V3" };
  const fields = { ...fullManager(log), rds: { route_config_name: "main", config_source: ads } };
  const { route_config: _, ...hcm } = manager([], fields) as { readonly [key: string]: Json }; // An object by definition.
  const listeners = [fromJson(ListenerSchema, mutable(listener("main", port, hcm)), { registry })];
  const clusters = [cluster("v1", origin, GUARDS), cluster("v2", origin + 1, GUARDS)].map((one) =>
    fromJson(ClusterSchema, mutable(one), { registry }),
  );
  const made = (canary: number): XdsSnapshot => {
    const routes = mutable({ name: "main", virtual_hosts: hostsOf(canary) });
    return {
      listeners,
      clusters,
      routes: [fromJson(RouteConfigurationSchema, routes, { registry })],
      endpoints: [],
    };
  };
  const known = new Map<number, XdsSnapshot>();
  return (canary) => {
    const snapshot = known.get(canary) ?? made(canary);
    known.set(canary, snapshot);
    return snapshot;
  };
}

/** The same value, typed as the library wants it. */
function mutable(json: Json): Parameters<typeof fromJson>[1] {
  return structuredClone(json) as Parameters<typeof fromJson>[1]; // A copy that nobody else has may be changed.
}
