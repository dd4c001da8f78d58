// What TrafficPolicies on a Gateway ask of a listener as such, as settings of its HTTP connection manager: who the client is, request ids, bounds. Pure.
import type { Gateway, GatewayListener } from "../api/api.ts";
import {
  FileAccessLogSchema,
  HeaderMutationSchema,
  type HttpConnectionManager,
  type HttpConnectionManagerSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  type LogJson,
  logFormatProblems,
  type MessageInitShape,
  pack,
} from "../xds/types.ts";
import type { Report } from "./input.ts";
import { type CommonOptions, limitSettings, type NetworkFilter } from "./listenerlimits.ts";
import type { Applied, PolicyBook } from "./policies.ts";
import { areParametersIgnored, spellingOf } from "./spelling.ts";

/** What a listener is made with. */
export interface ListenerSettings {
  readonly manager: ManagerSettings;
  /** Before the connection manager. */
  readonly filters: readonly NetworkFilter[];
  /** Whether its routes are matched against paths without their parameters (`;x`). */
  readonly areParametersIgnored: boolean;
  /** Whether clients may end their side behind a request and still get its answer. */
  readonly isHalfCloseAllowed: boolean;
}

type ManagerSettings = Exclude<MessageInitShape<typeof HttpConnectionManagerSchema>, HttpConnectionManager>;

/** Sections that hold for a whole port. */
const SECTIONS = [
  "clientAddress",
  "clientConnection",
  "accessLog",
  "tracing",
  "normalization",
  "limits",
] as const;
const MAX_TRUSTED_HOPS = 32;
const DEFAULT_LOG = "/dev/stdout";
/** Where a client could claim another address, besides X-Forwarded-Proto, which is never believed. */
const CLAIMS = [...spellings("x-forwarded-for"), ...spellings("x-forwarded-host"), "forwarded"];
/** Of these the claims of strangers go, where nothing else is said: upstreams build links of it, and nobody appends to it. */
const STRANGERS_CLAIMS = spellings("x-forwarded-host");

/** The settings of a port whose listeners are `sharing`: the first one's hold for all. */
export function listenerSettings(
  gateway: Gateway,
  sharing: readonly GatewayListener[],
  policies: PolicyBook,
  report: Report,
): ListenerSettings {
  const [first, ...others] = sharing.map((listener) => policies.listener(gateway, listener.name));
  if (first === undefined)
    return { manager: {}, filters: [], areParametersIgnored: true, isHalfCloseAllowed: false };
  for (const section of SECTIONS)
    for (const { sources } of others)
      if (sources[section] !== undefined && sources[section] !== first.sources[section])
        report(
          sources[section],
          `spec.${section}`,
          `listeners on one port share ${section}, and the first listener's is in force`,
        );
  const { common, filters, ...limits } = limitSettings(first, report);
  const manager = {
    ...limits,
    ...spellingOf(first, report),
    ...clientAddress(first, common, report),
    ...accessLog(first, report),
    ...tracing(first, report),
  };
  return {
    manager,
    filters,
    areParametersIgnored: areParametersIgnored(first),
    isHalfCloseAllowed: first.sections.clientConnection?.halfClose === true,
  };
}

function clientAddress(applied: Applied, common: CommonOptions, report: Report): ManagerSettings {
  const asked = applied.sections.clientAddress ?? {};
  const wrong = (field: string, words: string): void =>
    report(applied.sources.clientAddress ?? "", `spec.clientAddress.${field}`, `${words}; it is left out`);
  const { trustedHops = 0, forwardedFor = "append", underscores = "allow" } = asked;
  const isCount = trustedHops >= 0 && trustedHops <= MAX_TRUSTED_HOPS;
  if (!isCount) wrong("trustedHops", `${trustedHops} is not between 0 and ${MAX_TRUSTED_HOPS}`);
  if (!["append", "overwrite", "keep"].includes(forwardedFor))
    wrong("forwardedFor", `${JSON.stringify(forwardedFor)} is not append, overwrite or keep`);
  const { ALLOW, REJECT_REQUEST, DROP_HEADER } = HttpProtocolOptions_HeadersWithUnderscoresAction;
  const actions: Readonly<Record<string, HttpProtocolOptions_HeadersWithUnderscoresAction>> = {
    allow: ALLOW,
    reject: REJECT_REQUEST,
    drop: DROP_HEADER,
  };
  const action = actions[underscores];
  if (action === undefined)
    wrong("underscores", `${JSON.stringify(underscores)} is not allow, reject or drop`);
  return {
    ...(isCount && trustedHops > 0 ? { xffNumTrustedHops: trustedHops } : {}),
    ...(forwardedFor === "keep" ? { skipXffAppend: true } : {}),
    ...removals(forwardedFor, isCount && trustedHops > 0),
    ...(action || Object.keys(common).length > 0
      ? { commonHttpProtocolOptions: { ...common, headersWithUnderscoresAction: action ?? ALLOW } }
      : {}),
  };
}

/** What of a client's own account is dropped. */
function removals(forwardedFor: string, isTrusted: boolean): ManagerSettings {
  if (forwardedFor === "overwrite") return { earlyHeaderMutationExtensions: [removal(CLAIMS)] };
  if (forwardedFor === "keep" || isTrusted) return {};
  return { earlyHeaderMutationExtensions: [removal(STRANGERS_CLAIMS)] };
}

function accessLog({ sections, sources }: Applied, report: Report): ManagerSettings {
  const asked = sections.accessLog;
  if (asked === undefined) return {};
  const { path = DEFAULT_LOG, text, json } = asked;
  const refuse = (field: string, words: string): ManagerSettings => {
    report(sources.accessLog ?? "", `spec.accessLog${field}`, `${words}; nothing is logged`);
    return {};
  };
  if (!/^\/(?!.*\/\.\.?(?:\/|$))./.test(path))
    return refuse(".path", `${JSON.stringify(path)} is no absolute path`);
  if (text !== undefined && json !== undefined) return refuse("", "text and json exclude each other");
  // The schema takes any object, and what YAML or JSON can hold is JSON.
  const format = json as Record<string, LogJson> | undefined;
  const [unknown] = logFormatProblems(text ?? format ?? "");
  if (unknown !== undefined) return refuse(text === undefined ? ".json" : ".text", unknown);
  return {
    accessLog: [
      {
        name: "envoy.access_loggers.file",
        configType: {
          case: "typedConfig",
          value: pack(FileAccessLogSchema, { path, ...formatOf(text, format) }),
        },
      },
    ],
  };
}

function formatOf(
  text: string | undefined,
  json: Record<string, LogJson> | undefined,
): MessageInitShape<typeof FileAccessLogSchema> {
  if (json !== undefined)
    return { accessLogFormat: { case: "logFormat", value: { format: { case: "jsonFormat", value: json } } } };
  if (text === undefined) return {};
  const source = {
    specifier: { case: "inlineString" as const, value: text.endsWith("\n") ? text : `${text}\n` },
  };
  return {
    accessLogFormat: { case: "logFormat", value: { format: { case: "textFormatSource", value: source } } },
  };
}

function tracing({ sections, sources }: Applied, report: Report): ManagerSettings {
  const {
    requestId = "make",
    requestIdInAnswer,
    traceContext = "forward",
    samplingPercent,
  } = sections.tracing ?? {};
  const wrong = (field: string, words: string): void =>
    report(sources.tracing ?? "", `spec.tracing.${field}`, `${words}; it is left out`);
  if (!["make", "keep", "off"].includes(requestId))
    wrong("requestId", `${JSON.stringify(requestId)} is not make, keep or off`);
  if (!["forward", "make"].includes(traceContext))
    wrong("traceContext", `${JSON.stringify(traceContext)} is not forward or make`);
  const percent = samplingPercent ?? 100;
  const isShare = percent >= 0 && percent <= 100;
  if (!isShare) wrong("samplingPercent", `${percent} is not between 0 and 100`);
  return {
    ...(requestId === "off" ? { generateRequestId: false } : {}),
    ...(requestId === "keep" ? { preserveExternalRequestId: true } : {}),
    ...(requestIdInAnswer ? { alwaysSetRequestIdInResponse: true } : {}),
    ...(traceContext === "make" ? { tracing: { randomSampling: { value: isShare ? percent : 100 } } } : {}),
  };
}

/** What becomes one variable in CGI and its likes: each hyphen may be an underscore. */
function spellings(name: string): readonly string[] {
  const [first = "", ...rest] = name.split("-");
  return rest.reduce<readonly string[]>(
    (heads, part) => heads.flatMap((head) => [`${head}-${part}`, `${head}_${part}`]),
    [first],
  );
}

function removal(names: readonly string[]) {
  const mutations = names.map((value) => ({ action: { case: "remove" as const, value } }));
  return {
    name: "envoy.http.early_header_mutation.header_mutation",
    typedConfig: pack(HeaderMutationSchema, { mutations }),
  };
}
