// How a host name becomes addresses: the machine's DNS servers are asked for it as it stands; a name that they do not know is looked up as other
// programs do, by hosts file and search list. Not so at once: where there is a search list, glibc says of a name whose server fails that there
// is no such name.
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

/** Looks a name up. A failure ends it at once where addresses are known from before. Never rejects. */
export type LookUp = (host: string, family: LookupFamily, isKnown: boolean) => Promise<Answer>;

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
  return async (host, family, isKnown) => {
    let failure: Answer | undefined;
    for (const ask of asks) {
      for (const versions of TURNS[family]) {
        const answers = await Promise.all(versions.map((version) => ask(host, version)));
        const found = answers.flatMap((one) => (one.kind === "known" && one.addresses.length > 0 ? one : []));
        const addresses = found.flatMap((one) => one.addresses);
        if (addresses.length > 0)
          return { kind: "known", addresses, ttlMs: Math.min(...found.map(({ ttlMs }) => ttlMs)) };
        failure ??= answers.find(({ kind }) => kind === "failed");
      }
      // While DNS is out, threads of the process would wait for it, too.
      if (failure !== undefined && isKnown) return failure;
    }
    return failure ?? { kind: "known", addresses: [], ttlMs: 0 };
  };
}

/** Asks the machine's DNS servers for the name as it stands. */
const dnsAsk: Ask = async (host, version) => {
  const { Resolver } = (await dns()).promises;
  // A new one each time: it reads which servers there are.
  const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  try {
    const options = { ttl: true } as const;
    const found = await (version === 4 ? resolver.resolve4(host, options) : resolver.resolve6(host, options));
    const addresses = found.map(({ address }) => address);
    return { kind: "known", addresses, ttlMs: 1_000 * Math.min(...found.map(({ ttl }) => ttl)) };
  } catch (error) {
    return answerOf(error);
  }
};

/** Asks as other programs of the machine do. */
const systemAsk: Ask = async (host, version) => {
  try {
    const found = await (await dns()).promises.lookup(host, { all: true, family: version });
    return { kind: "known", addresses: found.map(({ address }) => address), ttlMs: 0 };
  } catch (error) {
    return answerOf(error);
  }
};

/** As the head of this file says. */
export const machineLookUp: LookUp = lookUpBy([dnsAsk, systemAsk]);

/** Loaded by those that need it: it takes almost a MiB. */
function dns(): Promise<typeof import("node:dns")> {
  return import("node:dns");
}

function answerOf(error: unknown): Answer {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOTFOUND" || code === "ENODATA") return { kind: "known", addresses: [], ttlMs: 0 };
  return { kind: "failed", why: messageOf(error) };
}
