// Whether to believe a new list that lacks what is known. Normally what it lacks was deleted while nobody watched. Two lists are in doubt,
// because a server with an empty or older state (restored, restarted before its data were there, a stale replica) answers like that:
//
// - an empty one: believed after DOUBT_MS of the same answer, when the objects cannot be had by name either;
// - one whose version is older than what was seen: after DOUBT_MS it is taken, but what it lacks is kept until its deletion is seen.
import { type KubeObject, keyOf, type ResourceType } from "../api/api.ts";
import type { Clock } from "../lib/clock.ts";
import { WeirError } from "../lib/errors.ts";
import type { ClusterClient } from "./client.ts";
import { CLUSTER_ERRORS } from "./errors.ts";
import type { ObjectStore } from "./store.ts";

/** For so long a list in doubt is asked for again. */
export const DOUBT_MS = 10_000;
/** Objects that an empty list lacks are asked for by name, up to this many. */
export const MAX_ASKED = 100;

/** A list that is taken. */
export interface ListVerdict {
  /** Keys that it lacks and that stay. */
  readonly kept: ReadonlySet<string>;
}

export interface ListDoubt {
  /** Throws `unavailable` while the list is in doubt: it is to be asked for again. */
  judge(
    list: { readonly items: readonly KubeObject[]; readonly resourceVersion: string },
    known: ObjectStore,
    lastVersion: string | undefined,
    signal: AbortSignal,
  ): Promise<ListVerdict>;
}

export interface ListDoubtDeps {
  readonly client: ClusterClient;
  readonly type: ResourceType;
  readonly clock: Clock;
}

/** The doubt of one reflector. */
export function createListDoubt({ client, type, clock }: ListDoubtDeps): ListDoubt {
  let sinceMs: number | undefined;
  /** Kept from older lists. */
  let ghosts: ReadonlySet<string> = new Set();

  /** Whether it has been in doubt for long enough. */
  const isOver = (): boolean => {
    sinceMs ??= clock.nowMs();
    return clock.nowMs() - sinceMs >= DOUBT_MS;
  };
  const doubt = (why: string): WeirError =>
    new WeirError({
      code: CLUSTER_ERRORS.unavailable,
      source: "upstream",
      retry: "yes",
      message: `list ${type.kind}: ${why}: asking again before anything is taken for deleted`,
    });
  const isThere = async (key: string, signal: AbortSignal): Promise<boolean> => {
    const [namespace, name = ""] = type.isNamespaced ? key.split("/") : [undefined, key];
    const found = await client.get(type, { name, ...(namespace !== undefined && { namespace }) }, signal);
    return found !== undefined;
  };

  return {
    async judge({ items, resourceVersion }, known, lastVersion, signal) {
      const present = new Set(items.map(keyOf));
      const lacking = known.keys().filter((key) => !present.has(key) && !ghosts.has(key));
      const isOlder = lastVersion !== undefined && isBefore(resourceVersion, lastVersion);
      const isEmpty = items.length === 0 && lacking.length > 0;
      if (isOlder && !isOver())
        throw doubt(`the server answers with version ${resourceVersion}, after ${lastVersion}`);
      if (!isOlder && isEmpty) {
        if (!isOver()) throw doubt(`nothing is there where ${lacking.length} were`);
        for (const key of lacking.slice(0, MAX_ASKED))
          if (await isThere(key, signal)) throw doubt(`the list is empty, but ${key} is there`);
      }
      sinceMs = undefined;
      const kept = [...ghosts, ...(isOlder ? lacking : [])];
      ghosts = new Set(kept.filter((key) => !present.has(key) && known.get(key) !== undefined));
      return { kept: ghosts };
    },
  };
}

/** Versions are numbers that grow (see controller/freshness.ts); of others nothing is known. */
function isBefore(version: string, other: string): boolean {
  const isNumber = /^\d+$/;
  return isNumber.test(version) && isNumber.test(other) && BigInt(version) < BigInt(other);
}
