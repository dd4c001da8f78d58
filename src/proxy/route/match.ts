// [hot] Phase "match": request head → route. Virtual host first (exact, then the longest suffix wildcard, the longest prefix wildcard, then
// `*`; a port in Host counts unless the table ignores it), then the first of its routes that matches, by index where there are many.

import { Facts } from "../admit/facts.ts";
import type { Head } from "../http1/head.ts";
import { HASH_START, hashFolded, hashStep } from "../wire/bytemap.ts";
import { LOWER, portColon } from "../wire/bytes.ts";
import { isMatch } from "./rules.ts";
import type { Dice } from "./split.ts";
import { type HostTable, type Route, type VirtualHost, WHOLE } from "./table.ts";

const facts = new Facts();

/**
 * The route that serves the request, or null. All its routes' shares are held against one number, each against what is left of it when divided by the
 * denominator: what a route of 5 % leaves, another one of 5 % does not take either, but one of 500 in 10 000 takes its part of it.
 * Source: Envoy: source/common/router/config_impl.cc, evaluateRuntimeMatch; source/common/protobuf/utility.cc, evaluateFractionalPercent.
 */
export function findRoute(table: HostTable, head: Head, dice: Dice): Route | null {
  const { bytes, base } = head;
  const host = findHost(table, bytes, base + head.authorityStart, base + head.authorityEnd);
  if (host === null) return null;
  facts.of(head);
  if (host.hasShares) facts.chance = dice.below(WHOLE);
  if (table.areParametersIgnored) facts.ignoreParameters();
  if (host.index !== null) return host.index.find(facts);
  const { routes } = host;
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i]!;
    if (isMatch(route.match, facts)) return route;
  }
  return null;
}

/** The virtual host for the authority bytes[start, end). */
export function findHost(table: HostTable, buf: Uint8Array, start: number, end: number): VirtualHost | null {
  const { exact, suffixes, prefixes } = table;
  if (exact.size + suffixes.size + prefixes.size === 0) return table.any;
  const stop = table.isPortIgnored ? portColon(buf, start, end) : end;
  const found =
    exact.size === 0 ? undefined : exact.getFolded(hashFolded(buf, start, stop), buf, start, stop);
  if (found !== undefined) return found;
  return longestSuffix(table, buf, start, stop) ?? longestPrefix(table, buf, start, stop) ?? table.any;
}

/** The wildcard stands for one byte or more. */
function longestSuffix(
  { suffixes }: HostTable,
  buf: Uint8Array,
  start: number,
  end: number,
): VirtualHost | undefined {
  const { lengths } = suffixes;
  let found: VirtualHost | undefined;
  let hash = HASH_START;
  for (let at = end - 1; at > start && end - at < lengths.length; at--) {
    hash = hashStep(hash, LOWER[buf[at]!]!);
    if (lengths[end - at] === 1) found = suffixes.getFolded(hash, buf, at, end) ?? found;
  }
  return found;
}

function longestPrefix(
  { prefixes }: HostTable,
  buf: Uint8Array,
  start: number,
  end: number,
): VirtualHost | undefined {
  const { lengths } = prefixes;
  let found: VirtualHost | undefined;
  let hash = HASH_START;
  for (let at = start + 1; at < end && at - start < lengths.length; at++) {
    hash = hashStep(hash, LOWER[buf[at - 1]!]!);
    if (lengths[at - start] === 1) found = prefixes.getFolded(hash, buf, start, at) ?? found;
  }
  return found;
}
