// Clusters whose endpoints are host names (STRICT_DNS): each address that a name has is an endpoint. Names are looked up again and again, and what
// they lead to goes to the cluster as endpoints of the control plane do. A lookup that fails changes nothing: only answers take addresses away.
import type { Timer } from "../lib/clock.ts";
import type { Core } from "./core.ts";
import type { EndpointAddress, EndpointSet } from "./forward/clusteroptions.ts";
import type { Answer, LookupFamily } from "./lookup.ts";

/** A lookup that takes longer has failed, though its answer is still taken when it comes. */
const LOOKUP_MS = 5_000;
/** Longest wait between lookups: timers take no longer ones. */
export const MAX_REFRESH_MS = 24 * 3_600_000;

/** Endpoints by name, compiled. */
export interface NamedEndpoints {
  /** `address` is a host name, or an IP address. */
  readonly hosts: EndpointSet;
  readonly family: LookupFamily;
  /** From the end of one lookup to the next. */
  readonly refreshMs: number;
  /** Whether an answer that says how long it holds is believed. */
  readonly isTtlRespected: boolean;
}

/** What is known of a name. */
export interface NameState {
  readonly host: string;
  readonly addresses: readonly string[];
  /** Why it cannot be looked up; empty: it can. */
  readonly trouble: string;
}

/** Names that are about to be in force, by cluster. */
export type BegunNames = ReadonlyMap<string, ClusterNames>;

/** Those of all clusters. */
export class Names {
  readonly #core: Core;
  readonly #inForce = new Map<string, ClusterNames>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Begins to look up what `wanted` has that is not in force; resolves when each name was looked up once, well or not. */
  async begin(wanted: ReadonlyMap<string, NamedEndpoints>): Promise<BegunNames> {
    const begun = new Map<string, ClusterNames>();
    for (const [name, endpoints] of wanted) {
      const before = this.#inForce.get(name);
      if (JSON.stringify(before?.endpoints) === JSON.stringify(endpoints)) continue;
      const onChange = (names: ClusterNames): void => this.#renew(name, names);
      begun.set(name, new ClusterNames(this.#core, name, endpoints, before, onChange));
    }
    await Promise.all([...begun.values()].map(({ first }) => first));
    return begun;
  }

  /** Ends what was begun and is not to be in force. */
  discard(begun: BegunNames): void {
    for (const names of begun.values()) names.close();
  }

  /** Brings in force what `begin` made for `wanted`, and ends what is not wanted. */
  swap(begun: BegunNames, wanted: ReadonlyMap<string, NamedEndpoints>): void {
    for (const [name, names] of this.#inForce) {
      if (wanted.has(name) && !begun.has(name)) continue;
      names.close();
      this.#inForce.delete(name);
    }
    for (const [name, names] of begun) this.#inForce.set(name, names);
  }

  /** What the names of a cluster lead to. */
  foundOf(cluster: string): EndpointSet | undefined {
    return this.#inForce.get(cluster)?.found;
  }

  statesIn(cluster: string): readonly NameState[] | undefined {
    return this.#inForce.get(cluster)?.states;
  }

  close(): void {
    this.discard(this.#inForce);
    this.#inForce.clear();
  }

  #renew(cluster: string, names: ClusterNames): void {
    if (this.#inForce.get(cluster) !== names) return;
    const { addresses, overprovisioningPercent } = names.found;
    this.#core.clusters.get(cluster)?.update(addresses, overprovisioningPercent);
    this.#core.seat.onRenewed();
  }
}

/** Those of one cluster. */
class ClusterNames {
  readonly endpoints: NamedEndpoints;
  /** Resolves when each name was looked up once, well or not. */
  readonly first: Promise<void>;
  found: EndpointSet;
  readonly #lookups: ReadonlyMap<string, Lookups>;
  readonly #onChange: (names: ClusterNames) => void;

  constructor(
    core: Core,
    cluster: string,
    endpoints: NamedEndpoints,
    before: ClusterNames | undefined,
    onChange: (names: ClusterNames) => void,
  ) {
    this.endpoints = endpoints;
    this.#onChange = onChange;
    const isSameFamily = before?.endpoints.family === endpoints.family;
    const hosts = [...new Set(endpoints.hosts.addresses.map(({ address }) => address))];
    this.#lookups = new Map(
      hosts.map((host) => {
        const last = isSameFamily ? before.#lookups.get(host)?.addresses : undefined;
        return [host, new Lookups(core, { cluster, host, endpoints, last, onAnswer: () => this.#take() })];
      }),
    );
    this.found = this.#merged();
    this.first = Promise.all([...this.#lookups.values()].map(({ first }) => first)).then(() => undefined);
  }

  get states(): readonly NameState[] {
    return Array.from(this.#lookups, ([host, { addresses, trouble }]) => ({ host, addresses, trouble }));
  }

  close(): void {
    for (const lookups of this.#lookups.values()) lookups.close();
  }

  #take(): void {
    const found = this.#merged();
    if (JSON.stringify(found) === JSON.stringify(this.found)) return;
    this.found = found;
    this.#onChange(this);
  }

  /** Where several names lead to one address and port, the first has a say. */
  #merged(): EndpointSet {
    const { hosts } = this.endpoints;
    const found = new Map<string, EndpointAddress>();
    for (const host of hosts.addresses)
      for (const address of this.#lookups.get(host.address)?.addresses ?? []) {
        const key = `${address} ${host.port}`;
        if (!found.has(key)) found.set(key, { ...host, address });
      }
    return { ...hosts, addresses: [...found.values()] };
  }
}

interface LookupsOptions {
  readonly cluster: string;
  readonly host: string;
  readonly endpoints: NamedEndpoints;
  /** What another one found before. */
  readonly last: readonly string[] | undefined;
  readonly onAnswer: () => void;
}

/** The lookups of one name, one after another. */
class Lookups {
  /** Those of the last answer, in an order of their own: servers shuffle them. */
  addresses: readonly string[];
  readonly first: Promise<void>;
  readonly #core: Core;
  readonly #options: LookupsOptions;
  #onFirst: () => void = () => undefined;
  #timer: Timer | null = null;
  #isClosed = false;
  /** Whether the last answer had no address. */
  #isNone = false;
  /** What is wrong, as it was last said; empty: nothing. */
  trouble = "";

  constructor(core: Core, options: LookupsOptions) {
    this.#core = core;
    this.#options = options;
    this.addresses = options.last ?? [];
    this.first = new Promise((resolve) => {
      this.#onFirst = resolve;
    });
    this.#look();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#onFirst();
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("lookup", error);
  }

  #look(): void {
    this.#timer = this.#core.after(LOOKUP_MS, this, () =>
      this.#take({ kind: "failed", why: `no answer within ${LOOKUP_MS / 1_000} s` }),
    );
    // The next one begins when this one is over, even if it is late: a system that does not answer is not asked again meanwhile.
    const { host, endpoints } = this.#options;
    this.#core
      .lookUp(host, endpoints.family, this.addresses.length > 0)
      .then((answer) => {
        if (this.#isClosed) return;
        this.#timer?.cancel();
        this.#timer = this.#core.after(this.#waitMs(answer), this, () => this.#look());
        this.#take(answer);
      })
      .catch((error: unknown) => this.onInternalError(error));
  }

  /** Until the next lookup. */
  #waitMs(answer: Answer): number {
    const { refreshMs, isTtlRespected } = this.#options.endpoints;
    const isTold = isTtlRespected && answer.kind === "known" && answer.ttlMs > 0;
    return isTold ? Math.min(answer.ttlMs, MAX_REFRESH_MS) : refreshMs;
  }

  #take(answer: Answer): void {
    if (answer.kind === "known") this.#learn(answer.addresses);
    this.#tell(answer);
    this.#onFirst();
  }

  /** That there is no address must be said twice: glibc says so, too, where it got no answer for one name of its search list. */
  #learn(addresses: readonly string[]): void {
    const wasNone = this.#isNone;
    this.#isNone = addresses.length === 0;
    if (this.#isNone && !wasNone) return;
    this.addresses = [...new Set(addresses)].sort();
    this.#options.onAnswer();
  }

  /** Says what is wrong, or right again, once. */
  #tell(answer: Answer): void {
    const nothing = this.#isNone ? "it has no address" : "";
    const why = answer.kind === "failed" ? answer.why : nothing;
    if (why === this.trouble) return;
    this.trouble = why;
    const { cluster, host } = this.#options;
    if (why === "") this.#core.log.info("name of an upstream is known again", { cluster, host });
    else this.#core.log.warn("name of an upstream cannot be looked up", { cluster, host, why });
  }
}
