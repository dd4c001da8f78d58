// Clusters whose endpoints are host names (STRICT_DNS): each address that a name has is an endpoint. Names are looked up again and again, and what
// they lead to goes to the cluster as endpoints of the control plane do. A lookup that fails changes nothing: only other addresses take addresses
// away. Of several processes one looks up, and tells the others.
import { sleep } from "../lib/clock.ts";
import type { Core } from "./core.ts";
import type { EndpointAddress, EndpointSet } from "./forward/clusteroptions.ts";
import { type LookupFamily, LookupQueue, Name } from "./name.ts";

/** How long a configuration waits for the first answers of new names, all together. */
const FIRST_MS = 500;
/** Longest wait between lookups: timers take no longer ones. */
export const MAX_REFRESH_MS = 24 * 3_600_000;

/** Endpoints by name, compiled. */
export interface NamedEndpoints {
  /** `address` is a host name, or an IP address. */
  readonly hosts: EndpointSet;
  readonly family: LookupFamily;
  /** From the end of one lookup to the next. */
  readonly refreshMs: number;
}

/** What is known of a name. */
export interface NameState {
  readonly host: string;
  readonly addresses: readonly string[];
  /** Why it cannot be looked up; empty: it can. */
  readonly trouble: string;
}

/** What is known of the names of a cluster. */
export interface FoundNames {
  readonly cluster: string;
  readonly names: readonly NameState[];
}

/** Names that are about to be in force, by cluster. */
export type BegunNames = ReadonlyMap<string, ClusterNames>;

/** Those of all clusters. */
export class Names {
  readonly #core: Core;
  readonly #inForce = new Map<string, ClusterNames>();
  readonly #queue = new LookupQueue();
  /** What another process found, by cluster: of those in force, and of those to come. */
  readonly #told = new Map<string, readonly NameState[]>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Begins to look up what `wanted` has that is not in force; resolves when new names were looked up once, well or not, or FIRST_MS are over. */
  async begin(wanted: ReadonlyMap<string, NamedEndpoints>): Promise<BegunNames> {
    const { clock, seat } = this.#core;
    const begun = new Map<string, ClusterNames>();
    for (const [name, endpoints] of wanted) {
      const before = this.#inForce.get(name);
      if (JSON.stringify(before?.endpoints) === JSON.stringify(endpoints)) continue;
      const queue = seat.isChecking ? this.#queue : null;
      const names = new ClusterNames(this.#core, queue, { cluster: name, endpoints, before });
      names.onChange = () => this.#renew(name, names);
      names.learn(this.#told.get(name) ?? []);
      begun.set(name, names);
    }
    if (begun.size === 0) return begun;
    const enough = new AbortController();
    const first = Promise.all([...begun.values()].map((names) => names.first));
    await Promise.race([first, sleep(clock, FIRST_MS, enough.signal)]);
    enough.abort();
    for (const [name, { states }] of begun) seat.onRenewed(name, states);
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
    for (const name of this.#told.keys()) if (!wanted.has(name)) this.#told.delete(name);
    for (const [name, names] of begun) {
      this.#inForce.set(name, names);
      // Answers that came since `begin`.
      this.#core.seat.onRenewed(name, names.states);
    }
  }

  /** Takes what another process found. */
  learn({ cluster, names }: FoundNames): void {
    this.#told.set(cluster, names);
    this.#inForce.get(cluster)?.learn(names);
  }

  /** What the names of a cluster lead to. */
  foundOf(cluster: string): EndpointSet | undefined {
    return this.#inForce.get(cluster)?.found;
  }

  statesIn(cluster: string): readonly NameState[] | undefined {
    return this.#inForce.get(cluster)?.states;
  }

  /** Of all clusters in force. */
  get all(): readonly FoundNames[] {
    return Array.from(this.#inForce, ([cluster, { states }]) => ({ cluster, names: states }));
  }

  close(): void {
    this.discard(this.#inForce);
    this.#inForce.clear();
  }

  #renew(cluster: string, names: ClusterNames): void {
    if (this.#inForce.get(cluster) !== names) return;
    const { addresses, overprovisioningPercent } = names.found;
    this.#core.clusters.get(cluster)?.update(addresses, overprovisioningPercent);
    this.#core.seat.onRenewed(cluster, names.states);
  }
}

interface ClusterNamesOptions {
  readonly cluster: string;
  readonly endpoints: NamedEndpoints;
  readonly before: ClusterNames | undefined;
}

/** Those of one cluster. */
class ClusterNames {
  readonly endpoints: NamedEndpoints;
  found: EndpointSet;
  onChange: () => void = () => undefined;
  readonly #names: ReadonlyMap<string, Name>;

  /** Without a queue another process looks up. */
  constructor(core: Core, queue: LookupQueue | null, { cluster, endpoints, before }: ClusterNamesOptions) {
    this.endpoints = endpoints;
    const { family, refreshMs } = endpoints;
    const hosts = [...new Set(endpoints.hosts.addresses.map(({ address }) => address))];
    this.#names = new Map(
      hosts.map((host) => {
        const last = before?.of(host);
        const onAnswer = (): void => this.#take();
        return [host, new Name(core, queue, { cluster, host, family, refreshMs, last, onAnswer })];
      }),
    );
    this.found = this.#merged();
  }

  /** Resolves when each new name was looked up once, well or not. */
  get first(): Promise<unknown> {
    return Promise.all(Array.from(this.#names.values(), ({ first }) => first));
  }

  of(host: string): Name | undefined {
    return this.#names.get(host);
  }

  get states(): readonly NameState[] {
    return Array.from(this.#names, ([host, { addresses, trouble }]) => ({ host, addresses, trouble }));
  }

  learn(states: readonly NameState[]): void {
    for (const { host, addresses, trouble } of states) {
      const name = this.#names.get(host);
      if (name === undefined) continue;
      name.addresses = addresses;
      name.trouble = trouble;
    }
    this.#take();
  }

  close(): void {
    for (const name of this.#names.values()) name.close();
  }

  #take(): void {
    const found = this.#merged();
    if (JSON.stringify(found) === JSON.stringify(this.found)) return;
    this.found = found;
    this.onChange();
  }

  /** Where several names lead to one address and port, the first has a say. */
  #merged(): EndpointSet {
    const { hosts } = this.endpoints;
    const found = new Map<string, EndpointAddress>();
    for (const host of hosts.addresses)
      for (const address of this.#names.get(host.address)?.addresses ?? []) {
        const key = `${address} ${host.port}`;
        if (!found.has(key)) found.set(key, { ...host, address });
      }
    return { ...hosts, addresses: [...found.values()] };
  }
}
