// [hot] Whether one route serves a request: path, share, headers, query parameters, cookies; all must hold. Bytes are compared in place.

import type { Facts } from "../admit/facts.ts";
import type { Head } from "../http1/head.ts";
import { COLON, isSameBytes, isSameName, SLASH } from "../wire/bytes.ts";
import type { Pairs } from "./pairs.ts";
import { type HeaderRule, type Match, PATH, type PairRule } from "./table.ts";
import { isValueMatch, VALUE } from "./valuetest.ts";

const EMPTY = Buffer.alloc(0);

/** Whether all that a match asks for is there. */
export function isMatch(match: Match, facts: Facts): boolean {
  return (
    isPathMatch(match, facts.path, facts.pathStart, facts.pathEnd) &&
    (!match.hasRules || areRulesMatch(match, facts))
  );
}

function isPathMatch(match: Match, buf: Buffer, start: number, end: number): boolean {
  const { path, pathKind } = match;
  if (pathKind === PATH.VALUE) return isValueMatch(match.pathTest, buf, start, end);
  const stop = start + path.length;
  if (stop > end || (pathKind === PATH.EXACT && stop !== end)) return false;
  if (!(match.isCaseIgnored ? isSameName(buf, start, stop, path) : isSameBytes(buf, start, stop, path)))
    return false;
  return pathKind !== PATH.SEPARATED || stop === end || buf[stop] === SLASH;
}

function areRulesMatch(match: Match, facts: Facts): boolean {
  const { headers, query, cookies, share, shareOf } = match;
  if (share < shareOf && facts.chance % shareOf >= share) return false;
  for (let i = 0; i < headers.length; i++) if (!isHeaderMatch(headers[i]!, facts.head)) return false;
  for (let i = 0; i < query.length; i++) if (!isQueryMatch(query[i]!, facts.query)) return false;
  for (let i = 0; i < cookies.length; i++) if (!isCookieMatch(cookies[i]!, facts.cookies)) return false;
  return true;
}

/** Whether a head has what a rule asks for. */
export function isHeaderMatch(rule: HeaderRule, head: Head): boolean {
  const { test, nameBytes, isInverted } = rule;
  if (nameBytes[0] === COLON) return isPseudoMatch(rule, head);
  let at = head.indexOf(nameBytes, 0);
  if (at < 0) return isMissingMatch(rule);
  if (test.kind === VALUE.PRESENT) return !isInverted;
  let isFound = false;
  for (; at >= 0 && !isFound; at = head.indexOf(nameBytes, at + 1)) {
    const start = head.base + head.fields[at * 4 + 2]!;
    isFound = isValueMatch(test, head.bytes, start, head.base + head.fields[at * 4 + 3]!);
  }
  return isFound !== isInverted;
}

function isMissingMatch({ test, isInverted, isMissingEmpty }: HeaderRule): boolean {
  if (isMissingEmpty) return isValueMatch(test, EMPTY, 0, 0) !== isInverted;
  return test.kind === VALUE.PRESENT && isInverted;
}

function isPseudoMatch(rule: HeaderRule, head: Head): boolean {
  const { bytes, base } = head;
  switch (rule.name) {
    case ":method":
      return isValueMatch(rule.test, bytes, base + head.lineStart, base + head.methodEnd) !== rule.isInverted;
    case ":path":
      return isValueMatch(rule.test, bytes, base + head.pathStart, base + head.targetEnd) !== rule.isInverted;
    case ":authority":
      return (
        isValueMatch(rule.test, bytes, base + head.authorityStart, base + head.authorityEnd) !==
        rule.isInverted
      );
    default:
      return isMissingMatch(rule);
  }
}

function isQueryMatch(rule: PairRule, query: Pairs): boolean {
  const found = query.find(rule.nameBytes, rule.nameHash);
  if (rule.test.kind === VALUE.PRESENT) return found >= 0 !== rule.isInverted;
  return found >= 0 && isPairMatch(rule, query, found) !== rule.isInverted;
}

function isCookieMatch(rule: PairRule, cookies: Pairs): boolean {
  const found = cookies.find(rule.nameBytes, rule.nameHash);
  return (found >= 0 && isPairMatch(rule, cookies, found)) !== rule.isInverted;
}

function isPairMatch(rule: PairRule, pairs: Pairs, index: number): boolean {
  return isValueMatch(rule.test, pairs.buf, pairs.at[index * 4 + 2]!, pairs.at[index * 4 + 3]!);
}
