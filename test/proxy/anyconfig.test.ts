// Whatever a control plane sends: a resource is taken, or refused by a path, and what is refused changes nothing. Messages are made by lot; a fixed
// seed and a fresh one, printed.
import type { Message } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { type Test, test } from "tap";
import { isWeirError } from "../../src/lib/errors.ts";
import { silentLogger } from "../../src/lib/log.ts";
import {
  compileCluster,
  compileEndpoints,
  compileListener,
  compileRoutes,
} from "../../src/proxy/compile/compile.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import { connectWire } from "../../src/proxy/wire/netwire.ts";
import {
  BootstrapSchema,
  type Cluster,
  type ClusterLoadAssignment,
  create,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type Listener,
  pack,
  RESOURCE_SCHEMAS,
  type ResourceKind,
  type Route,
  type RouteAction,
  RouteActionSchema,
  type RouteConfiguration,
  type RouteMatch,
  RouteMatchSchema,
  RouteSchema,
  registry,
  unsupportedFields,
  type VirtualHost,
  VirtualHostSchema,
} from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { anyMessage, one } from "./anymessage.ts";
import { bootstrapOf, type Json, recordingOrigin, talk } from "./support.ts";

const RUNS = Number(process.env.WEIR_FUZZ_RUNS ?? 400);
const SEEDS = [20_261_122, Math.floor(Math.random() * 2 ** 31)];

const anyCluster = (dice: Dice): Cluster => anyMessage(RESOURCE_SCHEMAS.clusters, dice);

/** Routes that requests find: for any host, most of them for any path and to a cluster that is there. */
function anyRoutes(dice: Dice): RouteConfiguration {
  const made: RouteConfiguration = anyMessage(RESOURCE_SCHEMAS.routes, dice);
  if (dice.below(10) === 0) return made;
  const host: VirtualHost = anyMessage(VirtualHostSchema, dice);
  host.domains = ["*"];
  const alone = (route: Route): unknown =>
    compileRoutes(
      create(RESOURCE_SCHEMAS.routes, { virtualHosts: [{ domains: ["*"], routes: [route] }] }),
      "1",
      () => 0,
    );
  host.routes = Array.from({ length: 1 + dice.below(3) }, () =>
    dice.below(10) === 0 ? anyRoute(dice) : likely(dice, anyRoute, alone),
  );
  made.virtualHosts = [host];
  return made;
}

function anyRoute(dice: Dice): Route {
  const route: Route = anyMessage(RouteSchema, dice);
  const match: RouteMatch = anyMessage(RouteMatchSchema, dice);
  if (match.pathSpecifier.case === undefined || dice.below(2) === 0)
    match.pathSpecifier = { case: "prefix", value: "/" };
  if (dice.below(3) > 0) Object.assign(match, { headers: [], queryParameters: [], cookies: [] });
  route.match = match;
  if (route.action.case === "route" || dice.below(2) === 0) {
    const action: RouteAction = anyMessage(RouteActionSchema, dice);
    if (action.clusterSpecifier.case !== "weightedClusters")
      action.clusterSpecifier = { case: "cluster", value: one(["one", "two"], dice) };
    route.action = { case: "route", value: action };
  }
  return route;
}

const anyEndpoints = (dice: Dice): ClusterLoadAssignment => anyMessage(RESOURCE_SCHEMAS.endpoints, dice);

/** Mostly endpoints that answer; where they are does not matter: all connections lead to one origin. */
function likelyEndpoints(dice: Dice, clusterName: string): ClusterLoadAssignment {
  if (dice.below(5) === 0) return { ...likely(dice, anyEndpoints, compileEndpoints), clusterName };
  return fromJson(RESOURCE_SCHEMAS.endpoints, {
    cluster_name: clusterName,
    endpoints: [
      {
        lb_endpoints: [1, 2].map((last) => ({
          endpoint: { address: { socket_address: { address: `10.0.0.${last}`, port_value: 80 } } },
        })),
      },
    ],
  });
}

const { clusterDiscoveryType } = fromJson(RESOURCE_SCHEMAS.clusters, { type: "EDS" });

/** Mostly one that takes its endpoints from the control plane. */
function likelyCluster(dice: Dice, name: string): Cluster {
  const found = likely(dice, anyCluster, compileCluster);
  if (dice.below(3) === 0) return { ...found, name };
  const { edsClusterConfig: _, ...rest } = found;
  return { ...rest, name, clusterDiscoveryType };
}

/** One that a proxy takes, if so many tries find one. */
function likely<Shape>(dice: Dice, make: (dice: Dice) => Shape, read: (made: Shape) => unknown): Shape {
  for (let tries = 0; ; tries++) {
    const made = make(dice);
    try {
      read(made);
      return made;
    } catch (error) {
      if (!isWeirError(error, CONFIG_REJECTED)) throw error;
      if (tries > 100) return made;
    }
  }
}

const ROUTES_BY_NAME = create(HttpConnectionManagerSchema, {
  routeSpecifier: {
    case: "rds",
    value: { routeConfigName: "any", configSource: { configSourceSpecifier: { case: "ads", value: {} } } },
  },
});

/** A listener whose connection manager is any, but for its routes and its log: nothing is to be written anywhere. */
function anyListener(dice: Dice): Listener {
  const manager: HttpConnectionManager = anyMessage(HttpConnectionManagerSchema, dice);
  manager.accessLog = [];
  manager.routeSpecifier = ROUTES_BY_NAME.routeSpecifier;
  return create(RESOURCE_SCHEMAS.listeners, {
    name: "dynamic",
    address: {
      address: {
        case: "socketAddress",
        value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: 0 } },
      },
    },
    filterChains: [
      {
        filters: [{ configType: { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) } }],
      },
    ],
  });
}

const COMPILE: Readonly<Record<ResourceKind, (dice: Dice) => { resource: Message; read: () => unknown }>> = {
  listeners(dice) {
    const resource =
      dice.below(3) === 0 ? anyMessage<Listener>(RESOURCE_SCHEMAS.listeners, dice) : anyListener(dice);
    return { resource, read: () => compileListener(resource) };
  },
  routes(dice) {
    const resource = anyRoutes(dice);
    return { resource, read: () => compileRoutes(resource, "1", () => 0) };
  },
  clusters(dice) {
    const resource = anyCluster(dice);
    return { resource, read: () => compileCluster(resource) };
  },
  endpoints(dice) {
    const resource = anyEndpoints(dice);
    return { resource, read: () => compileEndpoints(resource) };
  },
};

for (const seed of SEEDS)
  test(`any configuration: a resource is read, or refused by its paths (seed ${seed})`, (t) => {
    const dice = new Dice(seed);
    for (const kind of ["listeners", "routes", "clusters", "endpoints"] as const) {
      const seen = { read: 0, refused: 0, byValue: 0 };
      for (let run = 0; run < RUNS; run++) {
        const { resource, read } = COMPILE[kind](dice);
        try {
          read();
          seen.read += 1;
        } catch (error) {
          if (!isWeirError(error, CONFIG_REJECTED)) throw error;
          seen.refused += 1;
          // Looked into beyond the table of what is supported.
          if (unsupportedFields(kind, resource).length === 0) seen.byValue += 1;
          if (!/ is rejected: [a-z_]/.test(error.message)) t.fail(`${kind}: names no path: ${error.message}`);
        }
      }
      t.ok(seen.refused > 0 && seen.byValue > 0, `${kind}: ${JSON.stringify(seen)}`);
      t.comment(`${kind}: ${JSON.stringify(seen)}`);
    }
    t.end();
  });

for (const seed of SEEDS)
  test(`any configuration: what is refused changes nothing, and what is taken answers (seed ${seed})`, async (t) => {
    const { configuration, core, ask, askDynamic } = await serving(t);
    const dice = new Dice(seed);
    const seen = { taken: 0, refused: 0 };
    const statuses: Record<string, number> = {};
    const versions = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };
    for (let run = 0; run < RUNS / 3; run++) {
      const before = [...core.clusters.keys()].sort();
      const clusters = Array.from({ length: 1 + dice.below(2) }, (_, index) =>
        likelyCluster(dice, ["one", "two"][index] ?? ""),
      );
      const isMad = dice.below(3) === 0;
      const routes = {
        ...(isMad ? anyRoutes(dice) : likely(dice, anyRoutes, (made) => compileRoutes(made, "1", () => 0))),
        name: "any",
      };
      const endpoints = clusters.map(({ name }) => likelyEndpoints(dice, name));
      const listeners = [likely(dice, anyListener, compileListener)];
      try {
        const update = { listeners, clusters, routes: [routes], endpoints, versions };
        await configuration.apply({ ...update, changed: "clusters" });
        seen.taken += 1;
        const status = await askDynamic(run);
        statuses[status] = (statuses[status] ?? 0) + 1;
      } catch (error) {
        if (!isWeirError(error, CONFIG_REJECTED)) throw error;
        seen.refused += 1;
        t.strictSame([...core.clusters.keys()].sort(), before, "nothing has changed");
      }
      if (run % 20 === 0) t.match(await ask(), /^HTTP\/1\.1 200 /);
    }
    t.ok(seen.taken > 0 && seen.refused > 0, JSON.stringify(seen));
    t.ok((statuses[200] ?? 0) > 0 && Object.keys(statuses).length > 3, JSON.stringify(statuses));
    t.comment(JSON.stringify({ ...seen, statuses }));
    t.match(await ask(), /^HTTP\/1\.1 200 /);
    t.equal(core.counts.internalErrors, 0);
  });

/** A static listener and cluster, beside which a control plane says what it likes; all endpoints are one origin. */
async function serving(t: Test) {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const clock = createManualClock();
  const core = new Core({
    clock,
    log: silentLogger,
    seed: 1,
    connect: (context, _host, _others, _port, owner) =>
      connectWire(context, "127.0.0.1", [], origin.port, owner),
    lookUp: async (host) => (host === "pods.test" ? ["10.0.0.3"] : []),
  });
  core.deadlines.start();
  const json: Json = bootstrapOf({ clusters: { main: [origin.port] } });
  const { listeners = [], clusters = [] } =
    fromJson(BootstrapSchema, json, { registry }).staticResources ?? {};
  const configuration = new Configuration(core, { listeners, clusters }, true);
  await configuration.openStatic();
  t.teardown(() => {
    configuration.close();
    core.deadlines.stop();
  });
  const portOf = (listener: string): number =>
    configuration.listeners.find(({ name }) => name === listener)?.port ?? 0;
  const ask = async (): Promise<string> =>
    (await talk(portOf("main"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { until: /\r\n\r\n[\s\S]+$/ })).text;
  /** The status with which the dynamic listener answers a request, "" where it gives none; throws when it gives nonsense. */
  const askDynamic = async (run: number): Promise<string> => {
    const lines = [
      ["GET /", "POST /a", "GET /b?x=1", "HEAD /a/b;c"][run % 4],
      " HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\nX-User: ann\r\nCookie: x=1\r\n",
      run % 4 === 1 ? "Content-Length: 5\r\n\r\nhello" : "\r\n",
    ];
    let text = "";
    let isOver = false;
    const asking = talk(portOf("dynamic"), lines.join(""), { until: /\r\n\r\n/, patienceMs: 20_000 }).then(
      (found) => {
        text = found.text;
        isOver = true;
      },
    );
    // Waits of every kind pass.
    while (!isOver) {
      await clock.advance(200);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await asking;
    if (text !== "" && !/^HTTP\/1\.1 [1-5]\d\d /.test(text)) throw new Error(`run ${run}: ${text}`);
    return text.slice(9, 12);
  };
  return { configuration, core, ask, askDynamic };
}
