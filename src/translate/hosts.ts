// Which HTTPRoutes attach to which listener of a Gateway, and under which hosts. Source: Gateway API, ParentReference, Listener.hostname, AllowedRoutes.
import type { Gateway, GatewayListener, HttpRoute, ParentRef } from "../api/api.ts";
import type { Report } from "./input.ts";

const GATEWAY_GROUP = "gateway.networking.k8s.io";
/** A name or an IPv4 address, or a wildcard for the first part of one or for all. */
const HOST = /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)$/;

/** Whether the route names the listener as a parent and the listener admits the route. */
export function isAttached(
  gateway: Gateway,
  listener: GatewayListener,
  route: HttpRoute,
  report: Report,
): boolean {
  const namesIt = (route.spec?.parentRefs ?? []).some((parent) => isParent(gateway, listener, route, parent));
  return namesIt && admits(gateway, listener, route, report);
}

/** Whether hosts can be compared with it: a name without port, in any case, or a wildcard. */
export function isHostName(text: string): boolean {
  return HOST.test(text.toLowerCase());
}

/** The hosts under which a route serves on a listener; `*` for any; empty when the two have none in common. What is none is reported. */
export function commonHosts(listener: GatewayListener, route: HttpRoute, report: Report): string[] {
  const own = (listener.hostname ?? "*").toLowerCase();
  const wanted = (route.spec?.hostnames ?? []).map((host) => host.toLowerCase());
  const about = `HTTPRoute ${route.metadata.namespace}/${route.metadata.name}`;
  for (const [index, host] of wanted.entries())
    if (!HOST.test(host))
      report(about, `spec.hostnames[${index}]`, `${JSON.stringify(host)} is no host name; it is left out`);
  if (wanted.length === 0) return [own];
  return [...new Set(wanted.flatMap((host) => (HOST.test(host) ? (intersect(own, host) ?? []) : [])))];
}

function isParent(gateway: Gateway, listener: GatewayListener, route: HttpRoute, parent: ParentRef): boolean {
  return (
    (parent.group ?? GATEWAY_GROUP) === GATEWAY_GROUP &&
    (parent.kind ?? "Gateway") === "Gateway" &&
    parent.name === gateway.metadata.name &&
    (parent.namespace ?? route.metadata.namespace) === gateway.metadata.namespace &&
    (parent.sectionName ?? listener.name) === listener.name &&
    (parent.port ?? listener.port) === listener.port
  );
}

function admits(gateway: Gateway, listener: GatewayListener, route: HttpRoute, report: Report): boolean {
  const from = listener.allowedRoutes?.namespaces?.from ?? "Same";
  if (from === "All") return true;
  if (from === "Same") return route.metadata.namespace === gateway.metadata.namespace;
  const about = `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name}`;
  const field = `spec.listeners[${listener.name}].allowedRoutes.namespaces.from`;
  report(about, field, `${from} is not carried out yet (Same and All are); no route attaches`);
  return false;
}

function intersect(listener: string, route: string): string | undefined {
  if (listener === "*" || listener === route) return route;
  if (route === "*") return listener;
  if (isUnder(route, listener)) return route;
  return isUnder(listener, route) ? listener : undefined;
}

/** Whether `host` (a name or a wildcard) lies under the wildcard `*.suffix`. */
function isUnder(host: string, wildcard: string): boolean {
  return wildcard.startsWith("*.") && host.endsWith(wildcard.slice(1)) && host.length > wildcard.length - 1;
}
