// A proxy in force as translations of TrafficPolicies, HTTPRoutes and pods come, by a clock that is moved by hand.
import type { Test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { createLogger } from "../../src/lib/log.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { connectWire } from "../../src/proxy/wire/netwire.ts";
import { NO_WIRE } from "../../src/proxy/wire/wire.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { createManualClock } from "../support/clock.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import { type Origin, recordingOrigin, type Seen, talk } from "./support.ts";

export type Rule = NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number];
type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;

export interface Asked {
  readonly rule?: Rule;
  readonly service?: Sections;
  readonly route?: Sections;
  /** Where connections to a port lead; undefined: they are neither made nor refused. Default: to that port. */
  readonly portOf?: (port: number) => number | undefined;
}

/** A proxy for the Gateway `edge` and the Service `web`. */
export async function before(t: Test, { rule, service = {}, route = {}, portOf = (port) => port }: Asked) {
  const clock = createManualClock();
  const bugs: string[] = [];
  const core = new Core({
    clock,
    log: createLogger({ level: "error", write: (line) => bugs.push(line) }),
    seed: 7,
    connect(context, host, others, asked, owner) {
      const port = portOf(asked);
      return port === undefined ? { ...NO_WIRE, owner } : connectWire(context, host, others, port, owner);
    },
  });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  core.deadlines.start();
  t.teardown(() => {
    configuration.close();
    core.deadlines.stop();
    if (core.counts.internalErrors > 0) throw new Error(`internal errors: ${bugs.join("\n")}`);
  });
  const policy = (kind: string, sections: Sections): TrafficPolicy => ({
    apiVersion: "weir.dev/v1alpha1",
    kind: "TrafficPolicy",
    metadata: { name: kind.toLowerCase(), namespace: "shop" },
    spec: { targetRefs: [{ kind, name: "web" }], ...sections },
  });
  /** The pods that there are from now on, by the ports on which they listen. */
  const pods = async (...ports: readonly number[]): Promise<void> => {
    const { snapshot, problems } = translateGateway(
      input({
        httpRoutes: [httpRoute({ rules: [{ backendRefs: [{ name: "web", port: 80 }], ...rule }] })],
        slices: (_namespace, name) => {
          const own = name === "web" ? ports : [];
          return own.map((port) => ({
            ...slice(port, ["p"]),
            endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
          }));
        },
        policies: [policy("Service", service), policy("HTTPRoute", route)],
      }),
    );
    if (problems.length > 0) throw new Error(JSON.stringify(problems));
    for (const { address } of snapshot.listeners)
      if (address?.address.case === "socketAddress")
        address.address.value.portSpecifier = { case: "portValue", value: 0 };
    const versions = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };
    await configuration.apply({ ...snapshot, changed: "endpoints", versions });
  };
  const ask = async (...lines: readonly string[]): Promise<string> => {
    const request = ["GET / HTTP/1.1", "Host: a", ...lines, "Connection: close", "", ""].join("\r\n");
    return (await talk(configuration.listeners[0]?.port ?? 0, request)).text;
  };
  return { clock, pods, ask };
}

/** Pods that answer as said. */
export const origins = (
  t: Test,
  count: number,
  answer: (pod: number, seen: Seen) => number = () => 200,
): Promise<Origin[]> =>
  Promise.all(
    Array.from({ length: count }, (_, pod) =>
      recordingOrigin(t, (seen, response) => response.writeHead(answer(pod, seen)).end(`<${pod}>`)),
    ),
  );

export const portsOf = (pods: readonly Origin[]): number[] => pods.map(({ port }) => port);

/** How many of so many requests each pod got. */
export async function sharesOf(
  pods: readonly Origin[],
  ask: () => Promise<string>,
  requests: number,
): Promise<number[]> {
  for (const { seen } of pods) seen.length = 0;
  for (let turn = 0; turn < requests; turn++) await ask();
  return pods.map(({ seen }) => seen.filter(({ url }) => url === "/").length);
}
