// How the proxies name what they count: `<route>/<counter>`, the counter after the last slash. The one place that reads these names;
// unknown counters are kept out of the sums without an error, so that newer proxies may count more.

export type StatusClass = "1xx" | "2xx" | "3xx" | "4xx" | "5xx";
export const STATUS_CLASSES: readonly StatusClass[] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

export type Stat =
  | { readonly kind: "requests" | "errors" }
  | { readonly kind: "status"; readonly statusClass: StatusClass }
  /** Requests whose latency lies in the bucket that ends at `boundMs` (Infinity for the last), not those below it. */
  | { readonly kind: "bucket"; readonly boundMs: number };

export interface StatName {
  readonly route: string;
  readonly stat: Stat;
}

const STATUS = /^(?:status_)?([1-5]xx)$/;
const BUCKET = /^le_(inf|\d+(?:\.\d+)?)$/;

/** Reads a name with or without the prefix `weir/v1/`; undefined: not something that is summed here. */
export function parseStatName(name: string): StatName | undefined {
  const key = name.startsWith("weir/v1/") ? name.slice("weir/v1/".length) : name;
  const slash = key.lastIndexOf("/");
  const stat = parseStat(key.slice(slash + 1));
  return stat === undefined ? undefined : { route: slash < 0 ? "" : key.slice(0, slash), stat };
}

function parseStat(counter: string): Stat | undefined {
  if (counter === "requests") return { kind: "requests" };
  if (counter === "error" || counter === "errors") return { kind: "errors" };
  const statusClass = STATUS_CLASSES.find((each) => each === STATUS.exec(counter)?.[1]);
  if (statusClass !== undefined) return { kind: "status", statusClass };
  const bound = BUCKET.exec(counter)?.[1];
  return bound === undefined
    ? undefined
    : { kind: "bucket", boundMs: bound === "inf" ? Infinity : Number(bound) };
}
