// [hot] Finds the first route of a virtual host that matches, without asking each: routes are filed by the path they ask for, and where many
// share one, by a header, cookie or parameter that they need. What is found is a superset in the routes' own order, and each candidate is
// asked in full: the answer is that of a search from first to last.

import type { Facts } from "../admit/facts.ts";
import { ByteMap, HASH_START, hashFolded, hashRange, hashStep } from "../wire/bytemap.ts";
import { LOWER, SLASH } from "../wire/bytes.ts";
import type { Pairs } from "./pairs.ts";
import { isMatch } from "./rules.ts";
import { type HeaderRule, type Match, PATH, type PairRule, type Route } from "./table.ts";
import { VALUE, type ValueTest } from "./valuetest.ts";

/** Places of routes, rising, and the last search that took them up: repeated fields name one list again and again. */
interface Places {
  readonly at: Int32Array;
  search: number;
}

/** Routes that need one name: with any value, or with one of these. */
interface Named {
  readonly any: Places;
  readonly values: ByteMap<Places>;
}

/** Routes that share a path. */
interface Group {
  readonly plain: Places;
  readonly headers: ByteMap<Named>;
  readonly cookies: ByteMap<Named>;
  readonly query: ByteMap<Named>;
}

/** What a text of a path leads to, by PATH; VALUE counts as PREFIX. */
interface Filed {
  readonly prefix: Group | null;
  readonly separated: Group | null;
  readonly exact: Group | null;
}

/** Groups of fewer routes are not divided further. */
const MIN_DIVIDED = 8;
/** More lists than this are merged in a bitmap. */
const MAX_MERGED = 8;

/** Lists of candidates of the request at hand, and how far each is read. */
const lists: Int32Array[] = [];
let search = 0;
const positions = new Int32Array(MAX_MERGED);
let listCount = 0;
let bitmap = new Int32Array(64);

/** See the head of this file. */
export class RouteIndex {
  readonly #routes: readonly Route[];
  readonly #paths: ByteMap<Filed>;
  /** Of routes whose path ignores case, in lower case. */
  readonly #folded: ByteMap<Filed>;

  constructor(routes: readonly Route[]) {
    this.#routes = routes;
    this.#paths = filed(routes, false);
    this.#folded = filed(routes, true);
  }

  /** The first route that matches, or null. */
  find(facts: Facts): Route | null {
    listCount = 0;
    search += 1;
    if (this.#paths.size > 0) gatherExact(this.#paths, facts);
    if (this.#folded.size > 0) gatherFolded(this.#folded, facts);
    if (listCount === 0) return null;
    if (listCount === 1) return this.#first(lists[0]!, facts);
    return listCount <= MAX_MERGED ? this.#firstMerged(facts) : this.#firstOfMany(facts);
  }

  #first(list: Int32Array, facts: Facts): Route | null {
    for (let i = 0; i < list.length; i++) {
      const route = this.#routes[list[i]!]!;
      if (isMatch(route.match, facts)) return route;
    }
    return null;
  }

  #firstMerged(facts: Facts): Route | null {
    const count = listCount;
    for (let l = 0; l < count; l++) positions[l] = 0;
    for (;;) {
      let place = -1;
      let from = 0;
      for (let l = 0; l < count; l++) {
        const next = positions[l]! < lists[l]!.length ? lists[l]![positions[l]!]! : -1;
        if (next !== -1 && (place === -1 || next < place)) {
          place = next;
          from = l;
        }
      }
      if (place === -1) return null;
      positions[from]! += 1;
      const route = this.#routes[place]!;
      if (isMatch(route.match, facts)) return route;
    }
  }

  #firstOfMany(facts: Facts): Route | null {
    const words = (this.#routes.length + 31) >>> 5;
    if (bitmap.length < words) bitmap = new Int32Array(words * 2);
    bitmap.fill(0, 0, words);
    for (let l = 0; l < listCount; l++) {
      const list = lists[l]!;
      for (let i = 0; i < list.length; i++) bitmap[list[i]! >>> 5]! |= 1 << (list[i]! & 31);
    }
    for (let word = 0; word < words; word++) {
      for (let bits = bitmap[word]!; bits !== 0; bits &= bits - 1) {
        const route = this.#routes[word * 32 + 31 - Math.clz32(bits & -bits)]!;
        if (isMatch(route.match, facts)) return route;
      }
    }
    return null;
  }
}

// Building.

function filed(routes: readonly Route[], isCaseIgnored: boolean): ByteMap<Filed> {
  const byPath = new Map<string, { prefix: number[]; separated: number[]; exact: number[] }>();
  routes.forEach(({ match }, place) => {
    if (match.isCaseIgnored !== isCaseIgnored) return;
    const key = textOf(match.path);
    const places = byPath.get(key) ?? { prefix: [], separated: [], exact: [] };
    byPath.set(key, places);
    if (match.pathKind === PATH.EXACT) places.exact.push(place);
    else if (match.pathKind === PATH.SEPARATED) places.separated.push(place);
    else places.prefix.push(place);
  });
  const group = (places: readonly number[]): Group | null =>
    places.length === 0 ? null : groupOf(routes, places);
  return new ByteMap(
    Array.from(byPath, ([key, { prefix, separated, exact }]) => [
      bytesOf(key),
      { prefix: group(prefix), separated: group(separated), exact: group(exact) },
    ]),
  );
}

interface NamedPlaces {
  readonly any: number[];
  readonly values: Map<string, number[]>;
}

function groupOf(routes: readonly Route[], places: readonly number[]): Group {
  const plain: number[] = [];
  const byName = {
    headers: new Map<string, NamedPlaces>(),
    cookies: new Map<string, NamedPlaces>(),
    query: new Map<string, NamedPlaces>(),
  };
  for (const place of places) {
    const need = places.length < MIN_DIVIDED ? undefined : needOf(routes[place]!.match);
    if (need === undefined) {
      plain.push(place);
      continue;
    }
    const key = textOf(need.name);
    const named = byName[need.kind].get(key) ?? { any: [], values: new Map<string, number[]>() };
    byName[need.kind].set(key, named);
    if (need.value === null) named.any.push(place);
    else listed(named.values, textOf(need.value)).push(place);
  }
  const mapOf = (names: ReadonlyMap<string, NamedPlaces>): ByteMap<Named> =>
    new ByteMap(
      Array.from(names, ([name, { any, values }]) => [
        bytesOf(name),
        {
          any: placesOf(any),
          values: new ByteMap(
            Array.from(values, ([value, list]) => [bytesOf(value), placesOf(list)] as const),
          ),
        },
      ]),
    );
  return {
    plain: placesOf(plain),
    headers: mapOf(byName.headers),
    cookies: mapOf(byName.cookies),
    query: mapOf(byName.query),
  };
}

function placesOf(places: readonly number[]): Places {
  return { at: Int32Array.from(places), search: 0 };
}

function listed(lists: Map<string, number[]>, key: string): number[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

interface Need {
  readonly kind: "headers" | "cookies" | "query";
  readonly name: Uint8Array;
  /** null: any. */
  readonly value: Uint8Array | null;
}

/** Something that a request must have for the match to hold: best a value, else a name; undefined when there is nothing of the kind. */
function needOf({ headers, cookies, query }: Match): Need | undefined {
  const needs: Need[] = [
    ...headers
      .filter(isHeaderNeeded)
      .map((rule) => ({ kind: "headers" as const, name: rule.nameBytes, value: exactValue(rule) })),
    ...cookies
      .filter((rule) => !rule.isInverted)
      .map((rule) => ({ kind: "cookies" as const, name: rule.nameBytes, value: exactValue(rule) })),
    ...query
      .filter(isParameterNeeded)
      .map((rule) => ({ kind: "query" as const, name: rule.nameBytes, value: exactValue(rule) })),
  ];
  return needs.find(({ value }) => value !== null) ?? needs[0];
}

function isHeaderNeeded(rule: HeaderRule): boolean {
  if (rule.name.startsWith(":") || rule.isMissingEmpty) return false;
  return rule.test.kind !== VALUE.PRESENT || !rule.isInverted;
}

function isParameterNeeded(rule: PairRule): boolean {
  return rule.test.kind !== VALUE.PRESENT || !rule.isInverted;
}

function exactValue({
  test,
  isInverted,
}: {
  readonly test: ValueTest;
  readonly isInverted: boolean;
}): Uint8Array | null {
  return test.kind === VALUE.EXACT && !test.isCaseIgnored && !isInverted ? test.text : null;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"));
}

// Looking up.

/**
 * This stands twice, for bytes as they are and for bytes in lower case: one function for both, with a table of what each byte counts as, made a match
 * among 2 000 mixed rules 2 to 3 % dearer (bench/micro/match.ts).
 */
function gatherExact(paths: ByteMap<Filed>, facts: Facts): void {
  const { path, pathStart, pathEnd } = facts;
  const { lengths } = paths;
  const last = Math.min(pathEnd, pathStart + lengths.length - 1);
  let hash = HASH_START;
  for (let at = pathStart; ; at++) {
    if (lengths[at - pathStart] === 1) {
      const found = paths.get(hash, path, pathStart, at);
      if (found !== undefined) gather(found, at, facts);
    }
    if (at >= last) return;
    hash = hashStep(hash, path[at]!);
  }
}

function gatherFolded(paths: ByteMap<Filed>, facts: Facts): void {
  const { path, pathStart, pathEnd } = facts;
  const { lengths } = paths;
  const last = Math.min(pathEnd, pathStart + lengths.length - 1);
  let hash = HASH_START;
  for (let at = pathStart; ; at++) {
    if (lengths[at - pathStart] === 1) {
      const found = paths.getFolded(hash, path, pathStart, at);
      if (found !== undefined) gather(found, at, facts);
    }
    if (at >= last) return;
    hash = hashStep(hash, LOWER[path[at]!]!);
  }
}

function gather(found: Filed, at: number, facts: Facts): void {
  const isEnd = at === facts.pathEnd;
  if (found.prefix !== null) gatherGroup(found.prefix, facts);
  if (found.separated !== null && (isEnd || facts.path[at] === SLASH)) gatherGroup(found.separated, facts);
  if (found.exact !== null && isEnd) gatherGroup(found.exact, facts);
}

function gatherGroup(group: Group, facts: Facts): void {
  push(group.plain);
  if (group.headers.size > 0) gatherHeaders(group.headers, facts);
  if (group.cookies.size > 0) gatherPairs(group.cookies, facts.cookies);
  if (group.query.size > 0) gatherPairs(group.query, facts.query);
}

function gatherHeaders(headers: ByteMap<Named>, { head }: Facts): void {
  const { bytes, base, fields, fieldCount } = head;
  if (headers.size <= 2) {
    for (const [name, named] of headers.entries)
      for (let i = head.indexOf(name, 0); i >= 0; i = head.indexOf(name, i + 1))
        gatherNamed(named, bytes, base + fields[i * 4 + 2]!, base + fields[i * 4 + 3]!);
    return;
  }
  const { lengths } = headers;
  for (let i = 0; i < fieldCount; i++) {
    const start = base + fields[i * 4]!;
    const end = base + fields[i * 4 + 1]!;
    if (lengths[end - start] !== 1) continue;
    const named = headers.getFolded(hashFolded(bytes, start, end), bytes, start, end);
    if (named !== undefined) gatherNamed(named, bytes, base + fields[i * 4 + 2]!, base + fields[i * 4 + 3]!);
  }
}

function gatherPairs(names: ByteMap<Named>, pairs: Pairs): void {
  const { at, buf, hashes, count } = pairs;
  for (let i = 0; i < count; i++) {
    const named = names.get(hashes[i]!, buf, at[i * 4]!, at[i * 4 + 1]!);
    if (named !== undefined) gatherNamed(named, buf, at[i * 4 + 2]!, at[i * 4 + 3]!);
  }
}

function gatherNamed(named: Named, buf: Uint8Array, start: number, end: number): void {
  push(named.any);
  const { values } = named;
  if (values.lengths[end - start] !== 1) return;
  const list = values.get(hashRange(buf, start, end), buf, start, end);
  if (list !== undefined) push(list);
}

function push(places: Places): void {
  if (places.at.length === 0 || places.search === search) return;
  places.search = search;
  lists[listCount++] = places.at;
}
