// [hot] Counters that belong to no (route, cluster): by family and the values of its labels. Like the cells of stats.ts they live in one
// Float64Array, only grow, and survive every change of configuration. A user asks for a place once and adds to it; TALLIES is the list of
// families, and docs/reference/metrics.md says what each counts.

export interface TallyFamily {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export const TALLIES = {
  ownAnswers: {
    name: "weir_proxy_own_answers_total",
    help: "Answers that the proxy gave itself, by status and reason.",
    labels: ["status", "reason"],
  },
  ejections: {
    name: "weir_proxy_ejections_total",
    help: "Endpoints taken out by outlier detection, by cause.",
    labels: ["cluster", "cause"],
  },
  retriesRefused: {
    name: "weir_proxy_retries_refused_total",
    help: "Retries that a cluster's bounds forbade.",
    labels: ["cluster"],
  },
  slowClients: {
    name: "weir_proxy_slow_clients_total",
    help: "Clients cut off because they sent a body, or took an answer, too slowly.",
    labels: ["side"],
  },
  accessLog: {
    name: "weir_proxy_access_log_lines_total",
    help: "Lines of access logs, written or dropped.",
    labels: ["result"],
  },
  namesFailed: {
    name: "weir_proxy_names_failed_total",
    help: "Host names of endpoints that could no longer be looked up, or not at all; once until they can again.",
    labels: ["cluster"],
  },
  workersEnded: {
    name: "weir_proxy_workers_ended_total",
    help: "Workers that ended although they should not have, by themselves or because they were silent.",
    labels: ["cause"],
  },
} as const satisfies Record<string, TallyFamily>;

/** Most combinations of label values per family; what comes beyond shares one, named `overflow`. */
export const MAX_PLACES = 1024;
const OVERFLOW = "overflow";

export interface TallyValue {
  readonly family: TallyFamily;
  readonly labels: readonly string[];
  readonly value: number;
}

/** The tallies of one event loop. */
export class Tallies {
  readonly #places = new Map<TallyFamily, Map<string, number>>();
  readonly #names: { readonly family: TallyFamily; readonly labels: readonly string[] }[] = [];
  #values = new Float64Array(64);

  /** The place of those label values, the same for the life of the process. */
  place(family: TallyFamily, ...labels: readonly string[]): number {
    const places = this.#places.get(family) ?? new Map<string, number>();
    this.#places.set(family, places);
    const isFull = places.size >= MAX_PLACES - 1;
    const key = labels.join("\n");
    const known = places.get(key);
    if (known !== undefined) return known;
    const shown = isFull ? labels.map(() => OVERFLOW) : labels;
    const shared = isFull ? places.get(shown.join("\n")) : undefined;
    return shared ?? this.#newPlace(family, shown, places);
  }

  add(place: number, amount: number): void {
    this.#values[place]! += amount;
  }

  /** All values, in the order of their places. */
  all(): readonly TallyValue[] {
    return this.#names.map(({ family, labels }, place) => ({
      family,
      labels,
      value: this.#values[place] ?? 0,
    }));
  }

  #newPlace(family: TallyFamily, labels: readonly string[], places: Map<string, number>): number {
    const place = this.#names.length;
    this.#names.push({ family, labels });
    places.set(labels.join("\n"), place);
    if (place >= this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    return place;
  }
}
