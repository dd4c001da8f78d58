// The request handler: route → verb → answer. Both transports call it; whoever calls it has authenticated the client.
import { apiVersionOf, type KubeObject } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type Answer, answerError, answerJson, answerText } from "./answer.ts";
import { parseObject, parseOptional, parsePatch } from "./body.ts";
import { discoveryAnswer } from "./discovery.ts";
import { apiError, badRequest, methodNotAllowed, statusOf } from "./errors.ts";
import { numberAt, objectAt, stringAt } from "./fields.ts";
import { isAbsent, type Kind, subjectOf } from "./kinds.ts";
import { type LogProvider, podLog } from "./logs.ts";
import { openApiAnswer, openApiV2Answer } from "./openapi.ts";
import { dryRun, parseQuery, type Query } from "./query.ts";
import type { Readers, ReadRequest } from "./readers.ts";
import { type DeleteRequest, INITIAL_NAMESPACES, type PropagationPolicy, type Remover } from "./remover.ts";
import { reviewAnswer } from "./reviews.ts";
import { type Method, parseRoute, type Route } from "./route.ts";
import { bindPod, scaleOf, withScale } from "./scale.ts";
import type { Store, Stored } from "./store.ts";
import { checkFields } from "./strict.ts";
import { isTableWanted, tableText } from "./tables.ts";
import { versionInfo } from "./version.ts";
import type { Writer } from "./writer.ts";

export interface ApiRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface HandlerContext {
  readonly store: Store;
  readonly readers: Readers;
  readonly writer: Writer;
  readonly remover: Remover;
  readonly clock: Clock;
  readonly log: Logger;
  readonly logProvider: () => LogProvider | undefined;
  /** Called after a write that named owners: one of them may not exist. */
  readonly onOwned: () => void;
}

type ObjectRoute = Extract<Route, { readonly kind: "object" }>;
type CollectionRoute = Extract<Route, { readonly kind: "collection" }>;

/** Answers one request. Never rejects: failures are answers too. */
export async function handle(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  try {
    return await dispatch(context, request);
  } catch (error) {
    const isBug = statusOf(error) === undefined;
    if (isBug) context.log.error("request failed", { method: request.method, path: request.path, error });
    return answerError(error);
  }
}

async function dispatch(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const cut = request.path.indexOf("?");
  const path = cut < 0 ? request.path : request.path.slice(0, cut);
  const query = parseQuery(cut < 0 ? "" : request.path.slice(cut + 1));
  const route = parseRoute(decodePath(path));
  switch (route.kind) {
    case "collection":
      return collection(context, request, route, query);
    case "object":
      return object(context, request, route, query);
    case "review":
      if (request.method !== "POST") throw notAllowed(request.method);
      return reviewAnswer(route.group, route.review, request.body);
    case "interactive":
      throw methodNotAllowed(
        `${route.what} is not supported by this server: pods are local processes; use their own ports and files`,
      );
    case "unknown":
      throw notServed();
    case "health":
    case "version":
    case "discovery":
    case "group":
    case "groupVersion":
    case "openapi":
    case "openapiV2":
      if (request.method !== "GET") throw notAllowed(request.method);
      return describe(route, request.headers.accept ?? "");
    default:
      return assertNever(route);
  }
}

/** The answers that do not depend on what is stored. */
type DescribingRoute = Exclude<
  Route,
  { readonly kind: "collection" | "object" | "review" | "interactive" | "unknown" }
>;

function describe(route: DescribingRoute, accept: string): Answer {
  switch (route.kind) {
    case "health":
      return answerText(200, "ok", "text/plain; charset=utf-8");
    case "version":
      return answerJson(200, versionInfo());
    case "openapi":
      return openApiAnswer(route.path);
    case "openapiV2":
      return openApiV2Answer(accept);
    case "discovery":
    case "group":
    case "groupVersion":
      return discoveryAnswer(route, accept);
    default:
      return assertNever(route);
  }
}

function collection(
  context: HandlerContext,
  request: ApiRequest,
  route: CollectionRoute,
  query: Query,
): Answer {
  const { of: kind, namespace } = route;
  const method = methodOf(request.method);
  if (method !== "GET" && isAbsent(kind)) throw notServed();
  switch (method) {
    case "GET": {
      const read = readRequest(request, kind, namespace, query);
      return query.isWatch ? context.readers.watch(read) : context.readers.list(read);
    }
    case "POST": {
      if (kind.type.isNamespaced && namespace === undefined) throw notAllowed("POST without a namespace");
      const body = parseObject(request.body, request.headers["content-type"] ?? "");
      const warnings = checkFields(kind, body, query.fieldValidation);
      const stored = context.store.transaction(query.isDryRun, () =>
        context.writer.create(kind, namespace ?? "", body),
      );
      noteOwners(context, stored);
      return written(context, request, kind, query, stored, 201, warnings);
    }
    case "DELETE":
      throw methodNotAllowed(
        "deleting whole collections is not supported by this server: delete objects by name",
      );
    case "PUT":
    case "PATCH":
      throw notAllowed(method);
    default:
      return assertNever(method);
  }
}

function object(
  context: HandlerContext,
  request: ApiRequest,
  route: ObjectRoute,
  query: Query,
): Answer | Promise<Answer> {
  const { of: kind, namespace, name, part } = route;
  const method = methodOf(request.method);
  if (part === "log") {
    if (method !== "GET") throw notAllowed(method);
    return podLog(context, { namespace, name, query, signal: request.signal });
  }
  if (part === "scale") return scale(context, request, route, query);
  if (part === "binding") {
    if (method !== "POST") throw notAllowed(method);
    const body = parseObject(request.body, request.headers["content-type"] ?? "");
    context.store.transaction(query.isDryRun, () => bindPod(context.writer, kind, namespace, name, body));
    return answerJson(201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
  }
  if (part === "eviction") {
    if (method !== "POST") throw notAllowed(method);
    return evict(context, request, route, query);
  }
  switch (method) {
    case "GET": {
      const read = readRequest(request, kind, kind.type.isNamespaced ? namespace : undefined, query);
      return context.readers.get(read, name);
    }
    case "PUT": {
      const body = parseObject(request.body, request.headers["content-type"] ?? "");
      return change(context, request, route, query, () => body);
    }
    case "PATCH":
      return change(
        context,
        request,
        route,
        query,
        parsePatch(kind, request.body, request.headers["content-type"] ?? ""),
      );
    case "DELETE":
      if (part !== "main") throw notAllowed(method);
      return remove(context, request, route, query);
    case "POST":
      throw notAllowed(method);
    default:
      return assertNever(method);
  }
}

function change(
  context: HandlerContext,
  request: ApiRequest,
  route: ObjectRoute,
  query: Query,
  apply: (current: unknown) => unknown,
): Answer {
  const { of: kind, namespace, name } = route;
  const part = route.part === "status" ? "status" : "main";
  let warnings: readonly string[] = [];
  const stored = context.store.transaction(query.isDryRun, () =>
    context.writer.update(kind, namespace, name, part, (current) => {
      const next = apply(current);
      // Controllers write status all the time: nobody reads warnings there.
      if (part === "main" || query.fieldValidation === "Strict")
        warnings = checkFields(kind, next, query.fieldValidation);
      return next;
    }),
  );
  noteOwners(context, stored);
  return written(context, request, kind, query, stored, 200, warnings);
}

function scale(context: HandlerContext, request: ApiRequest, route: ObjectRoute, query: Query): Answer {
  const { of: kind, namespace, name } = route;
  const method = methodOf(request.method);
  if (method === "GET") {
    const stored = context.store.get(kind, namespace, name);
    if (stored === undefined) throw apiErrorNotFound(kind, name);
    return answerJson(200, scaleOf(kind, stored.object));
  }
  if (method !== "PUT" && method !== "PATCH") throw notAllowed(method);
  const contentType = request.headers["content-type"] ?? "";
  const body = method === "PUT" ? parseObject(request.body, contentType) : undefined;
  const apply = body === undefined ? parsePatch(kind, request.body, contentType) : () => body;
  const stored = context.store.transaction(query.isDryRun, () =>
    context.writer.update(kind, namespace, name, "main", (current) =>
      withScale(kind, current, apply(scaleOf(kind, current))),
    ),
  );
  return answerJson(200, scaleOf(kind, stored.object));
}

function remove(context: HandlerContext, request: ApiRequest, route: ObjectRoute, query: Query): Answer {
  const { of: kind, namespace, name } = route;
  const body = parseOptional(request.body, request.headers["content-type"] ?? "");
  const isDryRun = query.isDryRun || dryRun(Array.isArray(body.dryRun) ? body.dryRun : []);
  const deleted = context.store.transaction(isDryRun, () => {
    const stored = context.store.get(kind, namespace, name);
    if (stored === undefined) throw apiErrorNotFound(kind, name);
    return context.remover.delete(kind, stored.object, deleteRequest(body, query));
  });
  if (!deleted.isGone || kind.id === "pods") return answerJson(200, deleted.object);
  const details = { name, group: kind.type.group, kind: kind.type.plural, uid: deleted.object.metadata.uid };
  return answerJson(200, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
}

/** There are no disruption budgets here: an eviction is a deletion with the answer of its own kind. */
function evict(context: HandlerContext, request: ApiRequest, route: ObjectRoute, query: Query): Answer {
  const { of: kind, namespace, name } = route;
  const options = objectAt(parseObject(request.body, request.headers["content-type"] ?? ""), "deleteOptions");
  context.store.transaction(query.isDryRun, () => {
    const stored = context.store.get(kind, namespace, name);
    if (stored === undefined) throw apiErrorNotFound(kind, name);
    return context.remover.delete(kind, stored.object, deleteRequest(options, query));
  });
  return answerJson(201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
}

function deleteRequest(body: Readonly<Record<string, unknown>>, query: Query): DeleteRequest {
  const policy = stringAt(body, "propagationPolicy") ?? query.raw.get("propagationPolicy") ?? undefined;
  if (policy !== undefined && !isPolicy(policy))
    throw badRequest(
      `propagationPolicy: ${JSON.stringify(policy)} is none of "Background", "Foreground", "Orphan"`,
    );
  const graceText = query.raw.get("gracePeriodSeconds");
  const grace = numberAt(body, "gracePeriodSeconds") ?? (graceText === null ? undefined : Number(graceText));
  if (grace !== undefined && !(Number.isInteger(grace) && grace >= 0))
    throw badRequest("gracePeriodSeconds must be a whole number of 0 or more");
  const uid = stringAt(body, "preconditions.uid");
  const resourceVersion = stringAt(body, "preconditions.resourceVersion");
  return {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
  };
}

function isPolicy(text: string): text is PropagationPolicy {
  return text === "Background" || text === "Foreground" || text === "Orphan";
}

/** The answer to a write: the stored object, as a Table where the client asks for one. */
function written(
  context: HandlerContext,
  request: ApiRequest,
  kind: Kind,
  query: Query,
  stored: Stored,
  status: number,
  warnings: readonly string[],
): Answer {
  if (!isTableWanted(request.headers.accept ?? ""))
    return answerText(status, stored.text, "application/json", warnings);
  const shown = { texts: [stored.text], version: stored.object.metadata.resourceVersion ?? "" };
  return answerText(
    status,
    tableText(kind, shown, query.includeObject, context.clock.nowMs()),
    "application/json",
    warnings,
  );
}

function noteOwners(context: HandlerContext, stored: Stored): void {
  if ((stored.object.metadata.ownerReferences ?? []).length > 0) context.onOwned();
}

function readRequest(
  request: ApiRequest,
  kind: Kind,
  namespace: string | undefined,
  query: Query,
): ReadRequest {
  return { kind, namespace, query, accept: request.headers.accept ?? "", signal: request.signal };
}

function apiErrorNotFound(kind: Kind, name: string): Error {
  const { plural, group } = subjectOf(kind, name);
  const resource = group === "" ? plural : `${plural}.${group}`;
  return apiError(404, "NotFound", `${resource} ${JSON.stringify(name)} not found`, {
    name,
    group,
    kind: plural,
  });
}

function methodOf(method: string): Method {
  if (method === "GET" || method === "POST" || method === "PUT" || method === "PATCH" || method === "DELETE")
    return method;
  throw notAllowed(method);
}

function notServed(): Error {
  return apiError(404, "NotFound", "the server could not find the requested resource", {});
}

function notAllowed(what: string): Error {
  return methodNotAllowed(`the server does not allow ${what} on the requested resource`);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    throw badRequest(`the path cannot be decoded: ${messageOf(error)}`);
  }
}

/** The namespaces that exist from the start, as far as they are missing. */
export function createInitialNamespaces(kind: Kind, store: Store, writer: Writer): void {
  for (const name of INITIAL_NAMESPACES) {
    if (store.get(kind, "", name) !== undefined) continue;
    const body: KubeObject = {
      apiVersion: apiVersionOf(kind.type),
      kind: kind.type.kind,
      metadata: { name },
    };
    store.transaction(false, () => writer.create(kind, "", body));
  }
}
