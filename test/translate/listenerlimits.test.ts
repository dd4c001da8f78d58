// What `limits` of a TrafficPolicy on a Gateway become in its listeners, and what the proxy makes of those.
import { test } from "tap";
import type { TrafficPolicy } from "../../src/api/api.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import {
  ConnectionLimitSchema,
  HttpConnectionManagerSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  unpack,
  unsupportedFields,
} from "../../src/xds/types.ts";
import { gateway, input } from "./support.ts";

type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;

function listenerWith(sections: Sections) {
  const policy: TrafficPolicy = {
    apiVersion: "weir.dev/v1alpha1",
    kind: "TrafficPolicy",
    metadata: { name: "bounds", namespace: "shop" },
    spec: { targetRefs: [{ kind: "Gateway", name: "edge" }], ...sections },
  };
  const { snapshot, problems } = translateGateway(input({ gateway, policies: [policy] }));
  const [listener] = snapshot.listeners;
  if (listener === undefined) throw new Error("no listener");
  const filters = listener.filterChains[0]?.filters ?? [];
  const manager = unpack(HttpConnectionManagerSchema, filters.at(-1)?.configType.value);
  if (manager === undefined) throw new Error("no connection manager");
  return { filters, manager, problems, unsupported: unsupportedFields("listeners", listener) };
}

test("limits: reach the connection manager and a filter before it, in words that the proxy takes", (t) => {
  const { filters, manager, problems, unsupported } = listenerWith({
    limits: {
      connections: 100,
      requestsPerConnection: 50,
      connectionDuration: "1h",
      streamDuration: "5m",
      headKilobytes: 16,
      headerCount: 40,
    },
    clientAddress: { underscores: "drop" },
  });
  t.strictSame([problems, unsupported], [[], []]);
  t.equal(filters.length, 2);
  t.equal(unpack(ConnectionLimitSchema, filters[0]?.configType.value)?.maxConnections, 100n);
  t.match(manager, {
    maxRequestHeadersKb: 16,
    commonHttpProtocolOptions: {
      maxHeadersCount: 40,
      maxRequestsPerConnection: 50,
      maxConnectionDuration: { seconds: 3600n },
      maxStreamDuration: { seconds: 300n },
      headersWithUnderscoresAction: HttpProtocolOptions_HeadersWithUnderscoresAction.DROP_HEADER,
    },
  });
  t.end();
});

test("limits: those that are none are reported and left out", (t) => {
  const { filters, manager, problems } = listenerWith({
    limits: { connections: 0, headKilobytes: 4096, headerCount: -1, streamDuration: "soon" },
  });
  t.strictSame(
    problems.map(({ field, message }) => `${field}: ${message}`),
    [
      "spec.limits.headKilobytes: 4096 is not between 1 and 1024; it is left out",
      "spec.limits.headerCount: -1 is not between 1 and 1000; it is left out",
      "spec.limits.connections: 0 is not between 1 and 2147483647; it is left out",
      'spec.limits.streamDuration: "soon" is not a duration such as 10s; it is left out',
    ],
  );
  t.equal(filters.length, 1);
  t.strictSame([manager.maxRequestHeadersKb, manager.commonHttpProtocolOptions], [undefined, undefined]);
  t.end();
});
