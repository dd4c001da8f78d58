// What a translation takes over from the one before it: messages whose inputs are the same. A message that is taken over is not made again, nor
// encoded again by whoever keeps encodings by identity. But for `pods` it changes no outcome: with an empty memo the messages are equal, only not
// identical.
import type { Cluster, ClusterLoadAssignment, Route, VirtualHost } from "../xds/types.ts";

/** The messages of one Gateway's last translation. */
export interface Memo {
  readonly clusters: Kept<Cluster>;
  readonly endpoints: Kept<ClusterLoadAssignment>;
  readonly routes: Kept<Route>;
  readonly hosts: Kept<VirtualHost>;
  /** Where the pods of blue-green versions were last seen. Unlike all else here it decides something: see `lastOf` in clusters.ts. */
  readonly pods: Kept<readonly PodEndpoint[]>;
  /** A translation begins: what the last one did not ask for is forgotten. */
  turn(): void;
}

/** One pod at one port. */
export interface PodEndpoint {
  readonly address: string;
  readonly port: number;
  readonly pod: string;
}

/** Makes an empty memo. Bounded by what one translation makes. */
export function createMemo(): Memo {
  const clusters = new Kept<Cluster>();
  const endpoints = new Kept<ClusterLoadAssignment>();
  const routes = new Kept<Route>();
  const hosts = new Kept<VirtualHost>();
  const pods = new Kept<readonly PodEndpoint[]>();
  return {
    clusters,
    endpoints,
    routes,
    hosts,
    pods,
    turn: () => [clusters, endpoints, routes, hosts, pods].forEach((kept) => void kept.turn()),
  };
}

interface Entry<T> {
  readonly inputs: readonly unknown[];
  readonly value: T;
}

/** Values of one kind by key. */
export class Kept<T> {
  #before = new Map<string, Entry<T>>();
  #now = new Map<string, Entry<T>>();

  turn(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  /** What `key` stood for last. */
  last(key: string): T | undefined {
    return (this.#now.get(key) ?? this.#before.get(key))?.value;
  }

  /** What was made for `key` of the same inputs (texts and numbers by value, objects by identity), or else what `make` makes of them. */
  keep(key: string, inputs: readonly unknown[], make: () => T): T {
    const known = this.#now.get(key) ?? this.#before.get(key);
    const isSame =
      known !== undefined &&
      known.inputs.length === inputs.length &&
      known.inputs.every((input, index) => Object.is(input, inputs[index]));
    const entry = isSame ? known : { inputs, value: make() };
    this.#now.set(key, entry);
    return entry.value;
  }
}

/** Plain data as text, to be compared by value. */
export function textOf(data: unknown): string {
  return JSON.stringify(data, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}
