// What TrafficPolicies on a Gateway become in its listeners, and what the proxy makes of those.
import { test } from "tap";
import type { TrafficPolicy } from "../../src/api/api.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import {
  HeaderMutationSchema,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  unpack,
  unsupportedFields,
} from "../../src/xds/types.ts";
import { gateway, input } from "./support.ts";

type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;

const policy = (name: string, sections: Sections, sectionName?: string): TrafficPolicy => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "TrafficPolicy",
  metadata: { name, namespace: "shop" },
  spec: { targetRefs: [{ kind: "Gateway", name: "edge", ...(sectionName && { sectionName }) }], ...sections },
});

function managerOf(policies: readonly TrafficPolicy[], of = gateway) {
  const { snapshot, problems } = translateGateway(input({ gateway: of, policies }));
  const [listener] = snapshot.listeners;
  const config = listener?.filterChains[0]?.filters[0]?.configType;
  const manager = unpack(HttpConnectionManagerSchema, config?.value);
  if (listener === undefined || manager === undefined) throw new Error("no listener");
  return { manager, problems, unsupported: unsupportedFields("listeners", listener) };
}

test("listeners: without a policy clients are strangers", (t) => {
  const { manager } = managerOf([]);
  t.match(manager, { useRemoteAddress: true, xffNumTrustedHops: 0, skipXffAppend: false });
  t.strictSame(manager.earlyHeaderMutationExtensions, []);
  t.end();
});

test("listeners: clientAddress reaches the connection manager, in words that the proxy takes", (t) => {
  const of = (clientAddress: Sections["clientAddress"]): HttpConnectionManager => {
    const made = managerOf([policy("who", clientAddress === undefined ? {} : { clientAddress })]);
    t.strictSame([made.problems, made.unsupported], [[], []]);
    return made.manager;
  };
  t.match(of({ trustedHops: 2, forwardedFor: "keep" }), { xffNumTrustedHops: 2, skipXffAppend: true });
  const { REJECT_REQUEST, DROP_HEADER } = HttpProtocolOptions_HeadersWithUnderscoresAction;
  const action = (underscores: string): unknown =>
    of({ underscores }).commonHttpProtocolOptions?.headersWithUnderscoresAction;
  t.strictSame([action("reject"), action("drop"), action("allow")], [REJECT_REQUEST, DROP_HEADER, undefined]);
  const [early] = of({ forwardedFor: "overwrite" }).earlyHeaderMutationExtensions;
  t.strictSame(
    unpack(HeaderMutationSchema, early?.typedConfig)?.mutations.map(({ action }) => action.value),
    ["x-forwarded-for", "x-forwarded-host", "forwarded"],
  );
  t.end();
});

test("listeners: what clientAddress cannot mean is reported and left out", (t) => {
  const { manager, problems } = managerOf([
    policy("who", { clientAddress: { trustedHops: -1, forwardedFor: "trust", underscores: "no" } }),
  ]);
  t.match(manager, { xffNumTrustedHops: 0, skipXffAppend: false });
  t.strictSame(
    problems.map(({ about, field }) => `${about} ${field}`),
    ["trustedHops", "forwardedFor", "underscores"].map(
      (field) => `TrafficPolicy shop/who spec.clientAddress.${field}`,
    ),
  );
  t.end();
});

test("listeners: those that share a port share their settings, and a policy that loses is told", (t) => {
  const listeners = ["first", "second"].map((name) => ({ name, port: 8000, protocol: "HTTP" }));
  const both = { ...gateway, spec: { gatewayClassName: "weir", listeners } };
  const { manager, problems } = managerOf(
    [
      policy("a", { clientAddress: { trustedHops: 1 } }, "first"),
      policy("b", { clientAddress: { trustedHops: 2 } }, "second"),
    ],
    both,
  );
  t.equal(manager.xffNumTrustedHops, 1);
  t.match(problems, [{ about: "TrafficPolicy shop/b", field: "spec.clientAddress", message: /share/ }]);
  t.end();
});
