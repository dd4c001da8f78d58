// How a host name becomes addresses: the machine's DNS servers are asked for it as it stands; a name that they do not know is looked up as other
// programs do, by hosts file and search list. Not so at once: where there is a search list, glibc says of a name whose server fails that there
// is no such name.
import { Resolver } from "node:dns";
import { lookup } from "node:dns/promises";
import { messageOf } from "../lib/errors.ts";

/** Which addresses of a name count. */
export type LookupFamily = "auto" | "v4" | "v6" | "v4Preferred" | "all";

/** What came of it. That a name does not exist, or has no such address, is known. */
export type Answer =
  | {
      readonly kind: "known";
      readonly addresses: readonly string[];
      /** How long it holds; 0: nobody says. */
      readonly ttlMs: number;
    }
  | { readonly kind: "failed"; readonly why: string };

/** Looks a name up. Never rejects. */
export type LookUp = (host: string, family: LookupFamily) => Promise<Answer>;

/** IP version. */
export type Version = 4 | 6;

/** Asks for the addresses of one version. Never rejects. */
export type Ask = (host: string, version: Version) => Promise<Answer>;

/** What is asked for in turn, until there are addresses. Source: Envoy: config/cluster/v3/cluster.proto, DnsLookupFamily. */
const TURNS: Readonly<Record<LookupFamily, readonly (readonly Version[])[]>> = {
  auto: [[6], [4]],
  v4: [[4]],
  v6: [[6]],
  v4Preferred: [[4], [6]],
  all: [[4, 6]],
};
/** For one try of a DNS server; c-ares gives later ones more. */
const TRY_MS = 1_000;
const TRIES = 2;

/** Looks names up by the first of `asks` that knows addresses. It fails when none does, and one of them could not be asked. */
export function lookUpBy(asks: readonly Ask[]): LookUp {
  return async (host, family) => {
    let failure: Answer | undefined;
    for (const ask of asks)
      for (const versions of TURNS[family]) {
        const answers = await Promise.all(versions.map((version) => ask(host, version)));
        const found = answers.flatMap((one) => (one.kind === "known" && one.addresses.length > 0 ? one : []));
        const addresses = found.flatMap((one) => one.addresses);
        if (addresses.length > 0)
          return { kind: "known", addresses, ttlMs: Math.min(...found.map(({ ttlMs }) => ttlMs)) };
        failure ??= answers.find(({ kind }) => kind === "failed");
      }
    return failure ?? { kind: "known", addresses: [], ttlMs: 0 };
  };
}

/** Asks DNS servers, those of the machine unless they are given, for the name as it stands. */
export function dnsAsk(servers?: readonly string[]): Ask {
  return (host, version) =>
    new Promise((resolve) => {
      // A new one each time: it reads which servers there are.
      const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
      if (servers !== undefined) resolver.setServers(servers);
      const ask = version === 4 ? resolver.resolve4.bind(resolver) : resolver.resolve6.bind(resolver);
      ask(host, { ttl: true }, (error, found) => {
        if (error !== null) return resolve(answerOf(error));
        const addresses = found.map(({ address }) => address);
        resolve({ kind: "known", addresses, ttlMs: 1_000 * Math.min(...found.map(({ ttl }) => ttl)) });
      });
    });
}

/** Asks as other programs of the machine do. */
export const systemAsk: Ask = async (host, version) => {
  try {
    const found = await lookup(host, { all: true, family: version });
    return { kind: "known", addresses: found.map(({ address }) => address), ttlMs: 0 };
  } catch (error) {
    return answerOf(error);
  }
};

/** As the head of this file says. */
export const machineLookUp: LookUp = lookUpBy([dnsAsk(), systemAsk]);

function answerOf(error: unknown): Answer {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOTFOUND" || code === "ENODATA") return { kind: "known", addresses: [], ttlMs: 0 };
  return { kind: "failed", why: messageOf(error) };
}
