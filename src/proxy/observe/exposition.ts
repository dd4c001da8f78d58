// Prometheus text of what the proxy counts, written in slices so that a scrape of many cells does not hold up traffic.
//
// | metric | type | labels | meaning |
// |---|---|---|---|
// | weir_proxy_requests_total | counter | route, cluster, class | answers by status class; class="none": no answer at all |
// | weir_proxy_failures_total | counter | route, cluster, kind | connect, timeout, reset, protocol, overflow, unhealthy (stats.ts) |
// | weir_proxy_aborted_total | counter | route, cluster | requests that the client gave up |
// | weir_proxy_retries_total | counter | route, cluster | attempts beyond the first |
// | weir_proxy_mirrors_behind_total | counter | route, cluster | copies given up because the mirror did not take the body in time |
// | weir_proxy_request_bytes_total, weir_proxy_response_bytes_total | counter | route, cluster | payload bytes |
// | weir_proxy_requests_in_flight | gauge | route, cluster | requests in progress |
// | weir_proxy_request_duration_seconds | histogram | route, cluster | from the complete head to the last byte of the answer |
// | weir_proxy_connections_total, weir_proxy_connections_refused_total | counter | | client connections |
// | weir_proxy_requests_refused_total | counter | | requests refused as malformed or too large |
// | weir_proxy_requests_without_route_total | counter | | requests that no route matched |
// | weir_proxy_own_answers_total and others of tallies.ts | counter | as listed there | |
// | weir_proxy_internal_errors_total | counter | | bugs that a connection's boundary caught |
import type { ProxyCounts } from "../core.ts";
import { COUNTER, LATENCY_BOUNDS_MS, type Stats } from "./stats.ts";
import type { Tallies } from "./tallies.ts";

/** Cells written before the loop is given back. */
const CELLS_PER_SLICE = 20;
const TALLIES_PER_SLICE = 200;
/** Every fourth bound is exposed: one bucket per doubling. */
const BOUND_STEP = 4;

/** What is counted in one event loop. */
export interface Counted {
  readonly stats: Stats;
  readonly counts: ProxyCounts;
  readonly tallies: Tallies;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(labels: string, stats: Stats, cell: number): string;
}

const KINDS = ["connect", "timeout", "reset", "protocol", "overflow", "unhealthy"] as const;

const FAMILIES: readonly Family[] = [
  {
    name: "weir_proxy_requests_total",
    type: "counter",
    help: "Answers by status class.",
    lines(labels, stats, cell) {
      let classed = 0;
      let text = "";
      for (let digit = 1; digit <= 5; digit++) {
        const count = value(stats, cell, COUNTER.STATUS_BASE + digit);
        classed += count;
        if (count > 0) text += `${this.name}{${labels},class="${digit}xx"} ${count}\n`;
      }
      const unanswered = value(stats, cell, COUNTER.REQUESTS) - classed;
      return unanswered > 0 ? `${text}${this.name}{${labels},class="none"} ${unanswered}\n` : text;
    },
  },
  {
    name: "weir_proxy_failures_total",
    type: "counter",
    help: "Failures of the upstream side by kind.",
    lines(labels, stats, cell) {
      const lines = KINDS.map((kind, index) => {
        const count = value(stats, cell, COUNTER.CONNECT + index);
        return count > 0 ? `${this.name}{${labels},kind="${kind}"} ${count}\n` : "";
      });
      return lines.join("");
    },
  },
  plain("weir_proxy_aborted_total", "Requests that the client gave up.", COUNTER.ABORTED),
  plain("weir_proxy_retries_total", "Attempts beyond the first.", COUNTER.RETRIES),
  plain("weir_proxy_mirrors_behind_total", "Copies that fell behind their request.", COUNTER.BEHIND),
  plain("weir_proxy_request_bytes_total", "Payload bytes sent upstream.", COUNTER.BYTES_IN),
  plain("weir_proxy_response_bytes_total", "Payload bytes sent to clients.", COUNTER.BYTES_OUT),
  {
    name: "weir_proxy_requests_in_flight",
    type: "gauge",
    help: "Requests in progress.",
    lines(labels, stats, cell) {
      return `${this.name}{${labels}} ${stats.inFlight(cell)}\n`;
    },
  },
  {
    name: "weir_proxy_request_duration_seconds",
    type: "histogram",
    help: "Latency of requests.",
    lines: histogram,
  },
];

/** The whole text in slices: between two of them the caller may let other work run. */
export function* expose({ stats, counts, tallies }: Counted, isReady: boolean): Generator<string> {
  yield counters(counts, isReady);
  yield* tallied(tallies);
  for (const family of FAMILIES) {
    let text = `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
    for (let index = 0; index < stats.names.length; index++) {
      const name = stats.names[index];
      if (name !== undefined) {
        const labels = `route="${escaped(name.route)}",cluster="${escaped(name.cluster)}"`;
        text += family.lines(labels, stats, stats.positionOf(index));
      }
      if ((index + 1) % CELLS_PER_SLICE !== 0) continue;
      yield text;
      text = "";
    }
    yield text;
  }
}

/** One family after another; those of which nothing was counted are left out. */
function* tallied(tallies: Tallies): Generator<string> {
  const byFamily = Map.groupBy(tallies.all(), ({ family }) => family);
  for (const [{ name, help, labels }, values] of byFamily) {
    let text = `# HELP ${name} ${help}\n# TYPE ${name} counter\n`;
    for (const [index, one] of values.entries()) {
      const shown = labels.map((label, at) => `${label}="${escaped(one.labels[at] ?? "")}"`).join(",");
      text += `${name}{${shown}} ${one.value}\n`;
      if ((index + 1) % TALLIES_PER_SLICE !== 0) continue;
      yield text;
      text = "";
    }
    yield text;
  }
}

function plain(name: string, help: string, counter: number): Family {
  return {
    name,
    type: "counter",
    help,
    lines: (labels, stats, cell) => `${name}{${labels}} ${value(stats, cell, counter)}\n`,
  };
}

function histogram(labels: string, stats: Stats, cell: number): string {
  const name = "weir_proxy_request_duration_seconds";
  let text = "";
  let sum = 0;
  for (let index = 0; index < LATENCY_BOUNDS_MS.length; index++) {
    sum += stats.bucket(cell, index);
    if (index % BOUND_STEP !== BOUND_STEP - 1) continue;
    text += `${name}_bucket{${labels},le="${(LATENCY_BOUNDS_MS[index] ?? 0) / 1000}"} ${sum}\n`;
  }
  const count = value(stats, cell, COUNTER.REQUESTS);
  const seconds = value(stats, cell, COUNTER.LATENCY_SUM) / 1000;
  return `${text}${name}_bucket{${labels},le="+Inf"} ${count}\n${name}_sum{${labels}} ${seconds}\n${name}_count{${labels}} ${count}\n`;
}

function value(stats: Stats, cell: number, counter: number): number {
  return stats.values[cell + counter] ?? 0;
}

function counters(counts: ProxyCounts, isReady: boolean): string {
  const line = (name: string, help: string, count: number): string =>
    `# HELP ${name} ${help}\n# TYPE ${name} counter\n${name} ${count}\n`;
  return [
    line("weir_proxy_connections_total", "Client connections accepted.", counts.connections),
    line(
      "weir_proxy_connections_refused_total",
      "Client connections above the limit.",
      counts.connectionsRefused,
    ),
    line("weir_proxy_requests_refused_total", "Requests refused as malformed or too large.", counts.refused),
    line("weir_proxy_requests_without_route_total", "Requests that no route matched.", counts.noRoute),
    line("weir_proxy_internal_errors_total", "Bugs caught on a connection.", counts.internalErrors),
    `# HELP weir_proxy_ready 1 while /ready answers 200.\n# TYPE weir_proxy_ready gauge\nweir_proxy_ready ${isReady ? 1 : 0}\n`,
  ].join("");
}

function escaped(label: string): string {
  return label.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
