// Methods of times, durations, months, weekdays and zones: what each takes and gives, and what it computes.

import { fail } from "../error.ts";
import { own } from "../own.ts";
import {
  BOOL,
  DURATION,
  FLOAT,
  INT,
  INT64,
  LOCATION,
  type NamedType,
  type Signature,
  STRING,
  TIME,
  type Type,
  typeName,
} from "../types.ts";
import { type GoObject, goType, type HostFunction, isNumberValue, NamedInt, type Value } from "../values.ts";
import { HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND } from "./duration.ts";
import { formatCivil } from "./layout.ts";
import {
  addDuration,
  dayStart,
  durationOf,
  epochSeconds,
  Moment,
  modulo,
  momentAt,
  monthOf,
  subtractMoments,
  weekdayOf,
} from "./moment.ts";
import { UTC, Zone } from "./zone.ts";

interface Method {
  readonly parameters: readonly Type[];
  readonly result: Type;
  readonly run: (receiver: GoObject, args: readonly Value[]) => Value;
}

/** The signature of a method, undefined where the type has none of that name. */
export function methodSignature(type: NamedType, name: string): Signature | undefined {
  if (type === "time.Time" && SEVERAL_RESULTS.has(name))
    return fail(`func ${name} returns more then two values`);
  const method = own(METHODS[type] ?? {}, name);
  return method === undefined
    ? undefined
    : { name, overloads: [{ parameters: method.parameters, result: method.result }] };
}

/** A method bound to its receiver, undefined where the value has none of that name. */
export function methodOf(receiver: GoObject, name: string): HostFunction | undefined {
  const method = own(METHODS[receiver.goType] ?? {}, name);
  if (method === undefined) return undefined;
  return (args) => {
    const { parameters } = method;
    if (args.length !== parameters.length)
      fail(`invalid number of arguments: expected ${parameters.length}, got ${args.length}`);
    return method.run(
      receiver,
      parameters.map((parameter, index) => argument(parameter, args[index] ?? null)),
    );
  };
}

const SEVERAL_RESULTS = new Set(["Date", "Clock"]);

function argument(parameter: Type, value: Value): Value {
  const wanted = typeName(parameter);
  if (goType(value) !== wanted) fail(`reflect: Call using ${goType(value)} as type ${wanted}`);
  return value;
}

// Arguments have passed `argument`, so only these types get to the methods.
const moment = (value: Value | undefined): Moment =>
  value instanceof Moment ? value : fail("the argument is no time.Time");
const named = (value: Value | undefined): bigint =>
  value instanceof NamedInt ? value.value : fail("the argument is no time.Duration");
const zoneOf = (value: Value | undefined): Zone =>
  value instanceof Zone ? value : fail("the argument is no time zone");
const int = (value: Value | undefined): number => (isNumberValue(value ?? null) ? Number(value) : 0);
const text = (value: Value | undefined): string => (typeof value === "string" ? value : "");

const time = (
  parameters: readonly Type[],
  result: Type,
  run: (receiver: Moment, args: readonly Value[]) => Value,
): Method => ({ parameters, result, run: (receiver, args) => run(moment(receiver), args) });
const field = (run: (receiver: Moment) => number): Method =>
  time([], INT, (receiver) => BigInt(run(receiver)));
const since = (unit: bigint): Method =>
  time([], INT64, ({ ns }) => BigInt.asIntN(64, (ns - modulo(ns, unit)) / unit));
const relation = (holds: (a: bigint, b: bigint) => boolean): Method =>
  time([TIME], BOOL, ({ ns }, [other]) => holds(ns, moment(other).ns));
const duration = (
  parameters: readonly Type[],
  result: Type,
  run: (ns: bigint, args: readonly Value[]) => Value,
): Method => ({ parameters, result, run: (receiver, args) => run(named(receiver), args) });
/** Whole units and the rest apart, as Go adds them. */
const inUnits = (unit: bigint): Method =>
  duration([], FLOAT, (ns) => Number(ns / unit) + Number(ns % unit) / Number(unit));
const wholeUnits = (unit: bigint): Method => duration([], INT64, (ns) => ns / unit);
const STRING_METHOD: Method = { parameters: [], result: STRING, run: (receiver) => receiver.format() };

/** Year 1, January 1st: Go rounds and truncates from there, and its zero time is it. */
const YEAR_ONE = BigInt(dayStart(1, 0, 1)) * MILLISECOND;

function truncate(ns: bigint, unit: bigint): bigint {
  return unit <= 0n ? ns : ns - (ns % unit);
}

/** Half away from zero. */
function round(ns: bigint, unit: bigint): bigint {
  if (unit <= 0n) return ns;
  const size = ns < 0n ? -ns : ns;
  const rest = size % unit;
  const rounded = rest + rest < unit ? size - rest : size + unit - rest;
  return ns < 0n ? -rounded : rounded;
}

function isoYear(receiver: Moment): bigint {
  const { year, yearDay, weekday } = receiver.civil();
  const thursday = new Date(dayStart(year, 0, yearDay + 4 - (weekday === 0 ? 7 : weekday)));
  return BigInt(thursday.getUTCFullYear());
}

function isSummerTime({ ns, zone }: Moment): boolean {
  const { year, offset } = new Moment(ns, zone).civil();
  const winter = Math.min(
    ...[0, 6].map((monthIndex) => zone.at(dayStart(year, monthIndex, 1) / 1000).offset),
  );
  return offset > winter;
}

const TIME_METHODS: Readonly<Record<string, Method>> = {
  Year: field((receiver) => receiver.civil().year),
  Month: time([], { kind: "named", go: "time.Month" }, (receiver) => monthOf(receiver.civil().month)),
  Day: field((receiver) => receiver.civil().day),
  Hour: field((receiver) => receiver.civil().hour),
  Minute: field((receiver) => receiver.civil().minute),
  Second: field((receiver) => receiver.civil().second),
  Nanosecond: field((receiver) => receiver.civil().nanosecond),
  YearDay: field((receiver) => receiver.civil().yearDay),
  Weekday: time([], { kind: "named", go: "time.Weekday" }, (receiver) => weekdayOf(receiver.civil().weekday)),
  /** Of the year and week that Go gives, a condition gets the year. */
  ISOWeek: time([], INT, isoYear),
  Unix: time([], INT64, ({ ns }) => epochSeconds(ns)),
  UnixMilli: since(MILLISECOND),
  UnixMicro: since(MICROSECOND),
  UnixNano: time([], INT64, ({ ns }) => BigInt.asIntN(64, ns)),
  IsZero: time([], BOOL, ({ ns }) => ns === YEAR_ONE),
  IsDST: time([], BOOL, isSummerTime),
  After: relation((a, b) => a > b),
  Before: relation((a, b) => a < b),
  Equal: relation((a, b) => a === b),
  Compare: time([TIME], INT, ({ ns }, [other]) => BigInt(Math.sign(Number(ns - moment(other).ns)))),
  Add: time([DURATION], TIME, (receiver, [ns]) => addDuration(receiver, named(ns))),
  Sub: time([TIME], DURATION, (receiver, [other]) => subtractMoments(receiver, moment(other))),
  AddDate: time([INT, INT, INT], TIME, (receiver, [years, months, days]) => {
    const civil = receiver.civil();
    return momentAt(
      {
        ...civil,
        year: civil.year + int(years),
        month: civil.month + int(months),
        day: civil.day + int(days),
      },
      receiver.zone,
    );
  }),
  Truncate: time([DURATION], TIME, ({ ns, zone }, [unit]) => {
    const fromYearOne = ns - YEAR_ONE;
    return new Moment(YEAR_ONE + truncate(fromYearOne, named(unit)), zone);
  }),
  Round: time([DURATION], TIME, ({ ns, zone }, [unit]) => {
    const fromYearOne = ns - YEAR_ONE;
    return new Moment(YEAR_ONE + round(fromYearOne, named(unit)), zone);
  }),
  Format: time([STRING], STRING, (receiver, [layout]) => formatCivil(receiver.civil(), text(layout))),
  UTC: time([], TIME, ({ ns }) => new Moment(ns, UTC)),
  Local: time([], TIME, ({ ns }) => new Moment(ns, UTC)),
  In: time([LOCATION], TIME, ({ ns }, [zone]) => new Moment(ns, zoneOf(zone))),
  Location: time([], LOCATION, ({ zone }) => zone),
  /** Of the name and offset that Go gives, a condition gets the name. */
  Zone: time([], STRING, (receiver) => receiver.civil().abbreviation()),
  String: STRING_METHOD,
};

const METHODS: Readonly<Record<string, Readonly<Record<string, Method>>>> = {
  "time.Time": TIME_METHODS,
  "time.Duration": {
    Hours: inUnits(HOUR),
    Minutes: inUnits(MINUTE),
    Seconds: inUnits(SECOND),
    Milliseconds: wholeUnits(MILLISECOND),
    Microseconds: wholeUnits(MICROSECOND),
    Nanoseconds: wholeUnits(1n),
    Abs: duration([], DURATION, (ns) => durationOf(ns < 0n ? -ns : ns)),
    Truncate: duration([DURATION], DURATION, (ns, [unit]) => durationOf(truncate(ns, named(unit)))),
    Round: duration([DURATION], DURATION, (ns, [unit]) => durationOf(round(ns, named(unit)))),
    String: STRING_METHOD,
  },
  "time.Month": { String: STRING_METHOD },
  "time.Weekday": { String: STRING_METHOD },
  "*time.Location": { String: STRING_METHOD },
};
