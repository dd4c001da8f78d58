// RouteMatch → Match: path, share, headers, query parameters and cookies as what is compared with bytes (rules.ts). Pure; problems are collected.

import { REQUEST_LINE_NAMES } from "../../lib/fields.ts";
import { type PatternShape, readPattern } from "../../lib/pattern.ts";
import type {
  CookieMatcher,
  HeaderMatcher,
  QueryParameterMatcher,
  RegexMatcher,
  RouteMatch,
  StringMatcher,
} from "../../xds/types.ts";
import { ANY_REQUEST, type HeaderRule, type Match, PATH, type PairRule } from "../route/table.ts";
import { ANY_VALUE, VALUE, type ValueTest } from "../route/valuetest.ts";
import { hashOf } from "../wire/bytemap.ts";
import { lowerBytes } from "../wire/bytes.ts";
import { compileShare } from "./compileshare.ts";
import type { Problems } from "./problems.ts";

type PathMatch = Pick<Match, "pathKind" | "path" | "isCaseIgnored" | "pathTest">;

/** Reads what a route matches. */
export function compileMatch(message: RouteMatch | undefined, at: string, problems: Problems): Match {
  const headers = (message?.headers ?? []).map((one, h) => headerRule(one, `${at}.headers[${h}]`, problems));
  const query = (message?.queryParameters ?? []).map((one, q) =>
    queryRule(one, `${at}.query_parameters[${q}]`, problems),
  );
  const cookies = (message?.cookies ?? []).map((one, c) => cookieRule(one, `${at}.cookies[${c}]`, problems));
  const { share, shareOf } = compileShare(message?.runtimeFraction, `${at}.runtime_fraction`, problems);
  const hasRules = headers.length + query.length + cookies.length > 0 || share < shareOf;
  return { ...pathMatch(message, at, problems), hasRules, share, shareOf, headers, query, cookies };
}

function pathMatch(message: RouteMatch | undefined, at: string, problems: Problems): PathMatch {
  const isCaseIgnored = message?.caseSensitive === false;
  const specifier = message?.pathSpecifier;
  const compared = (pathKind: number, text: string): PathMatch => {
    const path = isCaseIgnored ? lowerBytes(text) : utf8(text);
    return { pathKind, path, isCaseIgnored, pathTest: ANY_VALUE };
  };
  switch (specifier?.case) {
    case "prefix":
      return compared(PATH.PREFIX, specifier.value);
    case "path":
      return compared(PATH.EXACT, specifier.value);
    case "pathSeparatedPrefix":
      if (!/^\/.*[^/]$/.test(specifier.value))
        problems.add(`${at}.path_separated_prefix`, "must begin with a slash and not end with one");
      return compared(PATH.SEPARATED, specifier.value);
    case "safeRegex":
      return patternPath(specifier.value, `${at}.safe_regex`, problems);
    case "connectMatcher":
    case undefined:
      problems.add(at, "has no path, prefix, path_separated_prefix or safe_regex");
      return ANY_REQUEST;
  }
}

/** `case_sensitive` does not apply to patterns. */
function patternPath(matcher: RegexMatcher, at: string, problems: Problems): PathMatch {
  const shape = shapeOf(matcher, at, problems);
  const isCaseIgnored = false;
  if (shape.kind === "exact" || shape.kind === "prefix") {
    const pathKind = shape.kind === "exact" ? PATH.EXACT : PATH.PREFIX;
    return { pathKind, path: utf8(shape.text), isCaseIgnored, pathTest: ANY_VALUE };
  }
  const path = utf8(shape.kind === "pattern" ? shape.text : "");
  return { pathKind: PATH.VALUE, path, isCaseIgnored, pathTest: shapeTest(shape) };
}

/** Reads a rule about a header. */
export function headerRule(matcher: HeaderMatcher, at: string, problems: Problems): HeaderRule {
  const spelt = matcher.name.toLowerCase();
  // The host in force: an absolute target goes before the field, which is never sent on then.
  const name = spelt === "host" ? ":authority" : spelt;
  if (name === "") problems.add(`${at}.name`, "is empty");
  if (name.startsWith(":") && !REQUEST_LINE_NAMES.includes(name))
    problems.add(`${at}.name`, `is ${name}; of a request line rules see ${REQUEST_LINE_NAMES.join(", ")}`);
  const specifier = matcher.headerMatchSpecifier;
  const isAbsence = specifier.case === "presentMatch" && !specifier.value;
  return {
    name,
    nameBytes: lowerBytes(name),
    test: headerTest(specifier, at, problems),
    isInverted: matcher.invertMatch !== isAbsence,
    isMissingEmpty: matcher.treatMissingHeaderAsEmpty,
  };
}

function headerTest(
  specifier: HeaderMatcher["headerMatchSpecifier"],
  at: string,
  problems: Problems,
): ValueTest {
  switch (specifier.case) {
    case "exactMatch":
      return textTest(VALUE.EXACT, specifier.value);
    case "prefixMatch":
      return textTest(VALUE.PREFIX, specifier.value);
    case "suffixMatch":
      return textTest(VALUE.SUFFIX, specifier.value);
    case "containsMatch":
      return textTest(VALUE.CONTAINS, specifier.value);
    case "rangeMatch":
      return {
        ...ANY_VALUE,
        kind: VALUE.RANGE,
        from: Number(specifier.value.start),
        to: Number(specifier.value.end),
      };
    case "safeRegexMatch":
      return shapeTest(shapeOf(specifier.value, `${at}.safe_regex_match`, problems));
    case "stringMatch":
      return stringTest(specifier.value, `${at}.string_match`, problems);
    case "presentMatch":
    case undefined:
      return ANY_VALUE;
  }
}

function queryRule(matcher: QueryParameterMatcher, at: string, problems: Problems): PairRule {
  const specifier = matcher.queryParameterMatchSpecifier;
  const test =
    specifier.case === "stringMatch"
      ? stringTest(specifier.value, `${at}.string_match`, problems)
      : ANY_VALUE;
  const isInverted = specifier.case === "presentMatch" && !specifier.value;
  return { ...named(matcher.name, at, problems), test, isInverted };
}

function cookieRule(matcher: CookieMatcher, at: string, problems: Problems): PairRule {
  if (matcher.stringMatch === undefined) problems.add(`${at}.string_match`, "is missing");
  const test =
    matcher.stringMatch === undefined
      ? ANY_VALUE
      : stringTest(matcher.stringMatch, `${at}.string_match`, problems);
  return { ...named(matcher.name, at, problems), test, isInverted: matcher.invertMatch };
}

function named(
  name: string,
  at: string,
  problems: Problems,
): Pick<PairRule, "name" | "nameBytes" | "nameHash"> {
  if (name === "") problems.add(`${at}.name`, "is empty");
  const nameBytes = utf8(name);
  return { name, nameBytes, nameHash: hashOf(nameBytes) };
}

function stringTest({ ignoreCase, matchPattern }: StringMatcher, at: string, problems: Problems): ValueTest {
  switch (matchPattern.case) {
    case "exact":
      return textTest(VALUE.EXACT, matchPattern.value, ignoreCase);
    case "prefix":
      return textTest(VALUE.PREFIX, matchPattern.value, ignoreCase);
    case "suffix":
      return textTest(VALUE.SUFFIX, matchPattern.value, ignoreCase);
    case "contains":
      return textTest(VALUE.CONTAINS, matchPattern.value, ignoreCase);
    case "safeRegex":
      if (ignoreCase)
        problems.add(`${at}.ignore_case`, "has no effect on safe_regex; write (?i) in the pattern");
      return shapeTest(shapeOf(matchPattern.value, `${at}.safe_regex`, problems));
    case undefined:
      problems.add(at, "has no exact, prefix, suffix, contains or safe_regex");
      return ANY_VALUE;
  }
}

function textTest(kind: number, text: string, isCaseIgnored = false): ValueTest {
  return { ...ANY_VALUE, kind, text: isCaseIgnored ? lowerBytes(text) : utf8(text), isCaseIgnored };
}

function shapeOf({ regex }: RegexMatcher, at: string, problems: Problems): PatternShape {
  const shape = readPattern(regex);
  if (typeof shape !== "string") return shape;
  problems.add(`${at}.regex`, shape);
  return { kind: "exact", text: "" };
}

function shapeTest(shape: PatternShape): ValueTest {
  switch (shape.kind) {
    case "exact":
      return textTest(VALUE.EXACT, shape.text);
    case "prefix":
      return textTest(VALUE.PREFIX, shape.text);
    case "suffix":
      return textTest(VALUE.SUFFIX, shape.text);
    case "contains":
      return textTest(VALUE.CONTAINS, shape.text);
    case "pattern":
      return { ...ANY_VALUE, kind: VALUE.PATTERN, text: utf8(shape.text), pattern: shape.pattern };
  }
}

function utf8(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "utf8"));
}
