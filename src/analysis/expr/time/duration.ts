// Durations as Go writes and reads them: "1h30m0s", "1.5h", "-2us".

import { fail } from "../error.ts";
import { own } from "../own.ts";
import { quoteBytes } from "../text.ts";

export const NANOSECOND = 1n;
export const MICROSECOND = 1_000n;
export const MILLISECOND = 1_000_000n;
export const SECOND = 1_000_000_000n;
export const MINUTE = 60n * SECOND;
export const HOUR = 60n * MINUTE;
export const INT64_MAX = 2n ** 63n - 1n;

/** Go's Duration.String. */
export function formatDuration(ns: bigint): string {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const size = ns < 0n ? -ns : ns;
  if (size < MICROSECOND) return `${sign}${size}ns`;
  if (size < MILLISECOND) return `${sign}${decimal(size, MICROSECOND)}µs`;
  if (size < SECOND) return `${sign}${decimal(size, MILLISECOND)}ms`;
  const seconds = `${decimal(size % MINUTE, SECOND)}s`;
  if (size < MINUTE) return `${sign}${seconds}`;
  const minutes = `${(size / MINUTE) % 60n}m${seconds}`;
  return size < HOUR ? `${sign}${minutes}` : `${sign}${size / HOUR}h${minutes}`;
}

function decimal(value: bigint, unit: bigint): string {
  const rest = (value % unit)
    .toString()
    .padStart(unit.toString().length - 1, "0")
    .replace(/0+$/, "");
  return rest === "" ? `${value / unit}` : `${value / unit}.${rest}`;
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: NANOSECOND,
  us: MICROSECOND,
  "\u00b5s": MICROSECOND,
  "\u03bcs": MICROSECOND,
  ms: MILLISECOND,
  s: SECOND,
  m: MINUTE,
  h: HOUR,
};
const LIMIT = 2n ** 63n;
const PART = /^(\d*)(?:\.(\d*))?([^.\d]*)/;

/** Go's time.ParseDuration, in nanoseconds; throws ConditionError. */
export function parseDuration(text: string): bigint {
  const invalid = (): never => fail(`time: invalid duration ${quoteBytes(text)}`);
  const isNegative = text.startsWith("-");
  let rest = isNegative || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "0") return 0n;
  if (rest === "") invalid();
  let total = 0n;
  while (rest !== "") {
    const [whole = "", digits = "", fraction = "", unitName = ""] = PART.exec(rest) ?? [];
    if (digits === "" && fraction === "") invalid();
    if (digits.replace(/^0+/, "").length > 19) invalid();
    if (unitName === "") fail(`time: missing unit in duration ${quoteBytes(text)}`);
    const unit =
      own(UNITS, unitName) ??
      fail(`time: unknown unit ${quoteBytes(unitName)} in duration ${quoteBytes(text)}`);
    total += BigInt(digits === "" ? "0" : digits) * unit;
    // Digits beyond these count for less than a nanosecond of any unit.
    const counted = fraction.slice(0, 18);
    if (counted !== "") total += (BigInt(counted) * unit) / 10n ** BigInt(counted.length);
    if (total > LIMIT) invalid();
    rest = rest.slice(whole.length);
  }
  if (isNegative) return -total;
  return total > INT64_MAX ? invalid() : total;
}
