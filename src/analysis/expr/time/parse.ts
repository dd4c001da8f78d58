// Go's time.Parse: a text read by a layout. What the layout does not tell is the year 0, January 1st, midnight, UTC.
import { fail } from "../error.ts";
import { quoteBytes } from "../text.ts";
import { MONTHS, nextChunk, WEEKDAYS } from "./layout.ts";
import { dayStart, Moment, momentAt } from "./moment.ts";
import { fixedZone, UTC, type Zone } from "./zone.ts";

/** The layouts that `date` tries in turn. */
export const DATE_LAYOUTS = [
  "2006-01-02",
  "15:04:05",
  "2006-01-02 15:04:05",
  "2006-01-02T15:04:05Z07:00",
  "02 Jan 06 15:04 MST",
  "Monday, 02-Jan-06 15:04:05 MST",
  "Mon, 02 Jan 2006 15:04:05 MST",
];

interface Fields {
  year: number;
  month: number | undefined;
  day: number | undefined;
  yearDay: number | undefined;
  hour: number;
  minute: number;
  second: number;
  nanosecond: number;
  half: "am" | "pm" | undefined;
  zone: Zone | undefined;
  offset: number | undefined;
  zoneName: string;
}

/** Thrown inside this file only: the element does not fit the text, or its number is out of range. */
class Misfit extends Error {
  readonly range: string | undefined;

  constructor(range?: string) {
    super("misfit");
    this.range = range;
  }
}

const misfit = (range?: string): never => {
  throw new Misfit(range);
};

/** The moment that `text` tells by `layout`; `zone` (default UTC) where the text names none. Throws ConditionError. */
export function parseTime(layout: string, text: string, zone?: Zone): Moment {
  const fields: Fields = {
    year: 0,
    month: undefined,
    day: undefined,
    yearDay: undefined,
    hour: 0,
    minute: 0,
    second: 0,
    nanosecond: 0,
    half: undefined,
    zone: undefined,
    offset: undefined,
    zoneName: "",
  };
  const whole = `parsing time ${quoteBytes(text)}`;
  const cannot = (value: string, element: string): never =>
    fail(`${whole} as ${quoteBytes(layout)}: cannot parse ${quoteBytes(value)} as ${quoteBytes(element)}`);
  let rest = layout;
  let value = text;
  for (;;) {
    const chunk = nextChunk(rest);
    value = skip(value, chunk.prefix) ?? cannot(value, chunk.prefix);
    if (chunk.element === "") break;
    rest = chunk.rest;
    try {
      value = readElement(fields, chunk.element, value, rest);
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      if (error.range !== undefined) fail(`${whole}: ${error.range} out of range`);
      cannot(value, chunk.element);
    }
  }
  if (value !== "") fail(`${whole}: extra text: ${quoteBytes(value)}`);
  return momentOf(fields, zone, whole);
}

/** What of `value` follows `prefix`; any run of spaces stands for any other. */
function skip(value: string, prefix: string): string | undefined {
  let rest = value;
  for (let at = 0; at < prefix.length; ) {
    if (prefix[at] === " ") {
      if (rest !== "" && !rest.startsWith(" ")) return undefined;
      while (prefix[at] === " ") at += 1;
      rest = rest.replace(/^ +/, "");
      continue;
    }
    if (rest === "" || rest[0] !== prefix[at]) return undefined;
    rest = rest.slice(1);
    at += 1;
  }
  return rest;
}

/** Reads one element into `fields`; gives what follows it. */
function readElement(fields: Fields, element: string, value: string, restOfLayout: string): string {
  switch (element) {
    case "2006":
      return number(/^\d{4}/, value, (year) => {
        fields.year = year;
      });
    case "06":
      return number(/^\d{2}/, value, (year) => {
        fields.year = year >= 69 ? year + 1900 : year + 2000;
      });
    case "January":
    case "Jan":
      return word(MONTHS, element, value, (index) => {
        fields.month = index + 1;
      });
    case "Monday":
    case "Mon":
      return word(WEEKDAYS, element, value, () => undefined);
    case "1":
    case "01":
      return number(digits(element), value, (month) => {
        fields.month = month >= 1 && month <= 12 ? month : misfit("month");
      });
    case "2":
    case "_2":
    case "02":
      return number(digits(element), element === "_2" ? value.replace(/^ /, "") : value, (day) => {
        fields.day = day;
      });
    case "__2":
    case "002":
      return number(element === "002" ? /^\d{3}/ : /^\d{1,3}/, value.replace(/^ {1,2}/, ""), (day) => {
        fields.yearDay = day;
      });
    case "15":
      return number(/^\d{1,2}/, value, (hour) => {
        fields.hour = hour < 24 ? hour : misfit("hour");
      });
    case "3":
    case "03":
      return number(digits(element), value, (hour) => {
        fields.hour = hour <= 12 ? hour : misfit("hour");
      });
    case "4":
    case "04":
      return number(digits(element), value, (minute) => {
        fields.minute = minute < 60 ? minute : misfit("minute");
      });
    case "5":
    case "05":
      return readSecond(fields, element, value, restOfLayout);
    case "PM":
    case "pm":
      return readHalf(fields, element, value);
    case "MST":
      return readZoneName(fields, value);
    default:
      return /^[.,]/.test(element)
        ? readFraction(fields, element, value)
        : readOffset(fields, element, value);
  }
}

/** One or two digits; two where the element begins with 0. */
const digits = (element: string): RegExp => (element.startsWith("0") ? /^\d{2}/ : /^\d{1,2}/);

function number(pattern: RegExp, value: string, keep: (number: number) => void): string {
  const [found = misfit()] = pattern.exec(value) ?? [];
  keep(Number(found));
  return value.slice(found.length);
}

function word(
  words: readonly string[],
  element: string,
  value: string,
  keep: (index: number) => void,
): string {
  const length = element.length === 3 ? 3 : undefined;
  const index = words.findIndex((each) =>
    value.toLowerCase().startsWith(each.slice(0, length).toLowerCase()),
  );
  if (index < 0) misfit();
  keep(index);
  return value.slice((words[index] ?? "").slice(0, length).length);
}

/** A fraction may follow the seconds though the layout has none. */
function readSecond(fields: Fields, element: string, value: string, restOfLayout: string): string {
  const rest = number(digits(element), value, (second) => {
    fields.second = second < 60 ? second : misfit("second");
  });
  const next = nextChunk(restOfLayout).element;
  const [fraction] = /^[.,]\d+/.exec(rest) ?? [];
  if (fraction === undefined || /^[.,]/.test(next)) return rest;
  fields.nanosecond = nanoseconds(fraction);
  return rest.slice(fraction.length);
}

function readFraction(fields: Fields, element: string, value: string): string {
  if (element[1] === "9") {
    const [fraction] = /^[.,]\d+/.exec(value) ?? [];
    if (fraction === undefined) return value;
    fields.nanosecond = nanoseconds(fraction);
    return value.slice(fraction.length);
  }
  const fraction = value.slice(0, element.length);
  if (!/^[.,]\d+$/.test(fraction) || fraction.length < element.length) misfit();
  fields.nanosecond = nanoseconds(fraction);
  return value.slice(fraction.length);
}

const nanoseconds = (fraction: string): number => Number(fraction.slice(1, 10).padEnd(9, "0"));

function readHalf(fields: Fields, element: string, value: string): string {
  const half = value.slice(0, 2);
  const isUpper = element === "PM";
  if (half === (isUpper ? "PM" : "pm")) fields.half = "pm";
  else if (half === (isUpper ? "AM" : "am")) fields.half = "am";
  else misfit();
  return value.slice(2);
}

function readOffset(fields: Fields, element: string, value: string): string {
  if (element.startsWith("Z") && value.startsWith("Z")) {
    fields.zone = UTC;
    return value.slice(1);
  }
  const shape = element.slice(1).replaceAll(/\d\d/g, "(\\d\\d)");
  const match = new RegExp(`^([+-])${shape}`).exec(value) ?? misfit();
  const [found = "", sign, hour = "0", minute = "0", second = "0"] = match;
  if (Number(hour) > 24) misfit("time zone offset hour");
  if (Number(minute) > 60) misfit("time zone offset minute");
  if (Number(second) > 60) misfit("time zone offset second");
  const size = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  fields.offset = sign === "-" ? -size : size;
  return value.slice(found.length);
}

function readZoneName(fields: Fields, value: string): string {
  if (value.startsWith("UTC")) {
    fields.zone = UTC;
    return value.slice(3);
  }
  const [name = misfit()] =
    /^(?:ChST|MeST|GMT(?:[+-](?:2[0-3]|1?\d)(?!\d))?|[+-](?:2[0-3]|1?\d)(?!\d))/.exec(value) ??
    /^(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])/.exec(value) ??
    [];
  fields.zoneName = name;
  return value.slice(name.length);
}

function momentOf(fields: Fields, zone: Zone | undefined, whole: string): Moment {
  const hour =
    fields.half === "pm" && fields.hour < 12
      ? fields.hour + 12
      : fields.half === "am" && fields.hour === 12
        ? 0
        : fields.hour;
  const { year, yearDay } = fields;
  let { month = 1, day = 1 } = fields;
  if (yearDay !== undefined) {
    const date = new Date(dayStart(year, 0, yearDay));
    if (yearDay < 1 || date.getUTCFullYear() !== year) fail(`${whole}: day-of-year out of range`);
    if (fields.month !== undefined && fields.month !== date.getUTCMonth() + 1)
      fail(`${whole}: day-of-year does not match month`);
    if (fields.day !== undefined && fields.day !== date.getUTCDate())
      fail(`${whole}: day-of-year does not match day`);
    month = date.getUTCMonth() + 1;
    day = date.getUTCDate();
  }
  if (day < 1 || new Date(dayStart(year, month - 1, day)).getUTCDate() !== day)
    fail(`${whole}: day out of range`);
  const civil = { ...fields, year, month, day, hour };
  if (fields.zone !== undefined) return momentAt(civil, fields.zone);
  if (fields.offset !== undefined) {
    const utc = momentAt(civil, UTC).ns - BigInt(fields.offset) * 1_000_000_000n;
    const home = zone ?? UTC;
    const isHome = home.at(Number(utc / 1_000_000_000n)).offset === fields.offset;
    return new Moment(utc, isHome ? home : fixedZone("", fields.offset));
  }
  if (fields.zoneName === "") return momentAt(civil, zone ?? UTC);
  return namedZone(civil, fields.zoneName, zone);
}

/** An abbreviation counts where the zone at hand has it; elsewhere Go makes up a zone of that name at UTC, but for GMT+3. */
function namedZone(civil: Parameters<typeof momentAt>[0], name: string, zone: Zone | undefined): Moment {
  if (zone !== undefined) {
    const local = momentAt(civil, zone);
    if (local.civil().abbreviation() === name) return local;
  }
  const hours = name.startsWith("GMT") && name.length > 3 ? Number(name.slice(3)) : 0;
  return new Moment(momentAt(civil, UTC).ns, fixedZone(name, hours * 3600));
}
