// What TrafficPolicies on a Gateway become in its listeners, and what the proxy makes of those.
import { test } from "tap";
import type { TrafficPolicy } from "../../src/api/api.ts";
import { compileListener } from "../../src/proxy/compile/compile.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import {
  FileAccessLogSchema,
  HeaderMutationSchema,
  type HttpConnectionManager,
  HttpConnectionManager_PathWithEscapedSlashesAction,
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
  return { listener, manager, problems, unsupported: unsupportedFields("listeners", listener) };
}

const FORWARDED_HOST = ["x-forwarded-host", "x-forwarded_host", "x_forwarded-host", "x_forwarded_host"];

/** Fields that are dropped before anything looks at them. */
function removedBy(manager: HttpConnectionManager): unknown[] {
  return manager.earlyHeaderMutationExtensions.flatMap(
    ({ typedConfig }) =>
      unpack(HeaderMutationSchema, typedConfig)?.mutations.map(({ action }) => action.value) ?? [],
  );
}

test("listeners: without a policy clients are strangers", (t) => {
  const { manager, unsupported } = managerOf([]);
  t.match(manager, { useRemoteAddress: true, xffNumTrustedHops: 0, skipXffAppend: false });
  t.strictSame(removedBy(manager), FORWARDED_HOST);
  t.strictSame(unsupported, []);
  t.end();
});

test("listeners: clientAddress reaches the connection manager, in words that the proxy takes", (t) => {
  const of = (clientAddress: Sections["clientAddress"]): HttpConnectionManager => {
    const made = managerOf([policy("who", clientAddress === undefined ? {} : { clientAddress })]);
    t.strictSame([made.problems, made.unsupported], [[], []]);
    return made.manager;
  };
  t.match(of({ trustedHops: 2, forwardedFor: "keep" }), { xffNumTrustedHops: 2, skipXffAppend: true });
  t.strictSame(removedBy(of({ trustedHops: 1 })), [], "an edge in front says which host it was asked for");
  t.strictSame(removedBy(of({ forwardedFor: "keep" })), []);
  const { REJECT_REQUEST, DROP_HEADER } = HttpProtocolOptions_HeadersWithUnderscoresAction;
  const action = (underscores: string): unknown =>
    of({ underscores }).commonHttpProtocolOptions?.headersWithUnderscoresAction;
  t.strictSame([action("reject"), action("drop"), action("allow")], [REJECT_REQUEST, DROP_HEADER, undefined]);
  t.strictSame(removedBy(of({ trustedHops: 1, forwardedFor: "overwrite" })), [
    ...["x-forwarded-for", "x-forwarded_for", "x_forwarded-for", "x_forwarded_for"],
    ...FORWARDED_HOST,
    "forwarded",
  ]);
  t.end();
});

test("listeners: accessLog and tracing reach the connection manager, in words that the proxy takes", (t) => {
  const of = (sections: Sections): HttpConnectionManager => {
    const made = managerOf([policy("seen", sections)]);
    t.strictSame([made.problems, made.unsupported], [[], []]);
    return made.manager;
  };
  const log = (accessLog: NonNullable<Sections["accessLog"]>) =>
    unpack(FileAccessLogSchema, of({ accessLog }).accessLog[0]?.configType.value);
  t.match(log({}), { path: "/dev/stdout", accessLogFormat: { case: undefined } });
  t.match(log({ path: "/var/log/a.log", text: "%RESPONSE_CODE%" })?.accessLogFormat.value, {
    format: { case: "textFormatSource", value: { specifier: { value: "%RESPONSE_CODE%\n" } } },
  });
  t.match(log({ json: { code: "%RESPONSE_CODE%" } })?.accessLogFormat.value, {
    format: { case: "jsonFormat", value: { code: "%RESPONSE_CODE%" } },
  });
  t.match(of({ tracing: { requestId: "keep", requestIdInAnswer: true } }), {
    preserveExternalRequestId: true,
    alwaysSetRequestIdInResponse: true,
    tracing: undefined,
  });
  t.equal(of({ tracing: { requestId: "off" } }).generateRequestId, false);
  t.equal(of({ tracing: { traceContext: "make", samplingPercent: 5 } }).tracing?.randomSampling?.value, 5);
  t.end();
});

test("listeners: what accessLog and tracing cannot mean is reported, and nothing else is lost", (t) => {
  const told = (sections: Sections): string[] =>
    managerOf([policy("seen", sections)]).problems.map(({ field, message }) => `${field}: ${message}`);
  t.strictSame(told({ accessLog: { text: "%WHO%" } }), [
    "spec.accessLog.text: has %WHO%, which this proxy does not know; nothing is logged",
  ]);
  t.strictSame(told({ accessLog: { json: { a: [{ b: "%REQ(:nope)%" }] } } }), [
    "spec.accessLog.json: has %REQ(:nope)%, which this proxy does not know; nothing is logged",
  ]);
  t.strictSame(told({ accessLog: { path: "/var/../etc/x" } }), [
    'spec.accessLog.path: "/var/../etc/x" is no absolute path; nothing is logged',
  ]);
  t.match(told({ accessLog: { text: "a", json: {} } }), [/exclude each other/]);
  t.match(told({ tracing: { requestId: "yes", traceContext: "b3", samplingPercent: 101 } }), [
    /^spec\.tracing\.requestId/,
    /^spec\.tracing\.traceContext/,
    /^spec\.tracing\.samplingPercent/,
  ]);
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

test("listeners: requests are respelt unless a policy says otherwise", (t) => {
  const { REJECT_REQUEST, KEEP_UNCHANGED, UNESCAPE_AND_FORWARD } =
    HttpConnectionManager_PathWithEscapedSlashesAction;
  const plain = managerOf([]);
  t.strictSame([plain.problems, plain.unsupported], [[], []]);
  t.match(plain.manager, {
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: REJECT_REQUEST,
    stripTrailingHostDot: true,
    stripMatchingHostPort: false,
    stripPortMode: { case: undefined },
  });
  const of = (normalization: NonNullable<Sections["normalization"]>): HttpConnectionManager => {
    const made = managerOf([policy("spelling", { normalization })]);
    t.strictSame([made.problems, made.unsupported], [[], []]);
    return made.manager;
  };
  t.match(of({ path: false, mergeSlashes: false, escapedSlashes: "keep", stripTrailingDot: false }), {
    normalizePath: false,
    mergeSlashes: false,
    pathWithEscapedSlashesAction: KEEP_UNCHANGED,
    stripTrailingHostDot: false,
  });
  t.match(of({ escapedSlashes: "unescape", stripHostPort: "any" }), {
    normalizePath: true,
    pathWithEscapedSlashesAction: UNESCAPE_AND_FORWARD,
    stripPortMode: { case: "stripAnyHostPort", value: true },
  });
  t.match(of({ stripHostPort: "matching" }), { stripMatchingHostPort: true });
  const wrong = managerOf([
    policy("spelling", {
      normalization: { escapedSlashes: "eat", pathParameters: "cut", stripHostPort: "x" },
    }),
  ]);
  t.match(wrong.manager, { pathWithEscapedSlashesAction: REJECT_REQUEST, stripMatchingHostPort: false });
  t.strictSame(
    wrong.problems.map(({ field, message }) => `${field}: ${message}`),
    [
      'spec.normalization.escapedSlashes: "eat" is not reject, keep or unescape; it is left out',
      'spec.normalization.pathParameters: "cut" is not ignore or keep; it is left out',
      'spec.normalization.stripHostPort: "x" is not none, matching or any; it is left out',
    ],
  );
  t.end();
});

test("listeners: clientConnection.halfClose reaches the listener's own metadata, in words that the proxy takes", (t) => {
  const of = (clientConnection: NonNullable<Sections["clientConnection"]>) => {
    const { listener, problems, unsupported } = managerOf([policy("ends", { clientConnection })]);
    t.strictSame([problems, unsupported], [[], []]);
    t.doesNotThrow(() => compileListener(listener));
    return listener.metadata?.filterMetadata;
  };
  t.strictSame(of({ halfClose: true }), { "weir.dev": { half_close: true } });
  t.strictSame([of({ halfClose: false }), of({})], [undefined, undefined]);
  t.end();
});

test("listeners: clientConnection of a port's further listeners is reported", (t) => {
  const listeners = ["a", "b"].map((name) => ({
    name,
    port: 8000,
    protocol: "HTTP",
    hostname: `${name}.test`,
  }));
  const { listener, problems } = managerOf([policy("ends", { clientConnection: { halfClose: true } }, "b")], {
    ...gateway,
    spec: { gatewayClassName: "weir", listeners },
  });
  t.equal(listener.metadata, undefined);
  t.match(problems, [
    {
      about: "TrafficPolicy shop/ends",
      field: "spec.clientConnection",
      message: /the first listener's is in force/,
    },
  ]);
  t.end();
});
