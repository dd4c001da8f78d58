// Times and durations as values: an instant in nanoseconds with the zone that it is shown in.
import { GoObject, NamedInt, type Value } from "../values.ts";
import { formatDuration, INT64_MAX } from "./duration.ts";
import { type Civil, formatCivil, MONTHS, WEEKDAYS } from "./layout.ts";
import { UTC, type Zone } from "./zone.ts";

const NS_PER_SECOND = 1_000_000_000n;
/** Go's Time.String. */
const STRING_LAYOUT = "2006-01-02 15:04:05.999999999 -0700 MST";

export class Moment extends GoObject {
  readonly goType = "time.Time";
  /** Nanoseconds since 1970. */
  readonly ns: bigint;
  readonly zone: Zone;

  constructor(ns: bigint, zone: Zone = UTC) {
    super();
    this.ns = ns;
    this.zone = zone;
  }

  civil(): Civil {
    return civilOf(this.ns, this.zone);
  }

  format(): string {
    return formatCivil(this.civil(), STRING_LAYOUT);
  }

  identity(): string {
    return `${this.ns} ${this.zone.name}`;
  }
}

/** Seconds since 1970, rounded down. */
export function epochSeconds(ns: bigint): bigint {
  return (ns - modulo(ns, NS_PER_SECOND)) / NS_PER_SECOND;
}

/** The remainder that has the divisor's sign. */
export function modulo(value: bigint, divisor: bigint): bigint {
  const rest = value % divisor;
  return rest < 0n ? rest + divisor : rest;
}

function civilOf(ns: bigint, zone: Zone): Civil {
  const seconds = Number(epochSeconds(ns));
  const { offset, abbreviation } = zone.at(seconds);
  const date = new Date((seconds + offset) * 1000);
  const year = date.getUTCFullYear();
  return {
    year,
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    nanosecond: Number(modulo(ns, NS_PER_SECOND)),
    weekday: date.getUTCDay(),
    yearDay:
      Math.round(
        (dayStart(year, date.getUTCMonth(), date.getUTCDate()) - dayStart(year, 0, 1)) / 86_400_000,
      ) + 1,
    offset,
    abbreviation,
  };
}

/** Milliseconds since 1970 of a day in UTC; years below 100 too, and days and months beyond their range. */
export function dayStart(year: number, monthIndex: number, day: number): number {
  return new Date(0).setUTCFullYear(year, monthIndex, day);
}

/** The moment of a civil time in a zone; in a gap or fold of the zone's clock as Go chooses. */
export function momentAt(
  civil: Omit<Civil, "weekday" | "yearDay" | "offset" | "abbreviation">,
  zone: Zone,
): Moment {
  const { year, month, day, hour, minute, second, nanosecond } = civil;
  const local = dayStart(year, month - 1, day) / 1000 + hour * 3600 + minute * 60 + second;
  const guess = local - zone.at(local).offset;
  const seconds = local - zone.at(guess).offset;
  return new Moment(BigInt(seconds) * NS_PER_SECOND + BigInt(nanosecond), zone);
}

/** A time.Duration. */
export function durationOf(ns: bigint): NamedInt {
  return new NamedInt("time.Duration", ns, formatDuration);
}

/** A time.Month, 1 to 12. */
export function monthOf(month: number): NamedInt {
  return new NamedInt(
    "time.Month",
    BigInt(month),
    (value) => MONTHS[Number(value) - 1] ?? `%!Month(${value})`,
  );
}

/** A time.Weekday, 0 is Sunday. */
export function weekdayOf(weekday: number): NamedInt {
  return new NamedInt(
    "time.Weekday",
    BigInt(weekday),
    (value) => WEEKDAYS[Number(value)] ?? `%!Weekday(${value})`,
  );
}

export function isDurationValue(value: Value): value is NamedInt {
  return value instanceof NamedInt && value.goType === "time.Duration";
}

/** The moment `ns` later. */
export function addDuration(moment: Moment, ns: bigint): Moment {
  return new Moment(moment.ns + BigInt.asIntN(64, ns), moment.zone);
}

/** The time between; what does not fit 64 bits is the longest that does. */
export function subtractMoments(later: Moment, earlier: Moment): NamedInt {
  const ns = later.ns - earlier.ns;
  return durationOf(ns > INT64_MAX ? INT64_MAX : ns < -INT64_MAX - 1n ? -INT64_MAX - 1n : ns);
}
