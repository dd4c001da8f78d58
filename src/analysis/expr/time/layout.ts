// Go's time layouts ("2006-01-02 15:04"): cut into elements, and written from a civil time.

export interface Civil {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** From 1. */
  readonly yearDay: number;
  /** Seconds east of UTC. */
  readonly offset: number;
  /** CET; asked for only where it is shown, because finding it is dear. */
  readonly abbreviation: () => string;
}

/** A layout up to its next element: the text before it, the element as written, and what follows. */
export interface Chunk {
  readonly prefix: string;
  /** Empty at the layout's end. */
  readonly element: string;
  readonly rest: string;
}

export const MONTHS =
  "January February March April May June July August September October November December".split(" ");
export const WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

// The longest alternative first, as Go tries them. Jan and Mon are words only when no small letter follows; a fraction only when
// no digit follows its row of 0 or 9.
const ELEMENT =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm|[-Z](?:070000|07:00:00|0700|07:00|07)|[.,](?:0+|9+)(?!\d)/;

/** The next element of a layout. */
export function nextChunk(layout: string): Chunk {
  const match = ELEMENT.exec(layout);
  if (match === null) return { prefix: layout, element: "", rest: "" };
  const [element] = match;
  const end = match.index + element.length;
  return { prefix: layout.slice(0, match.index), element, rest: layout.slice(end) };
}

/** `civil` written by `layout`. */
export function formatCivil(civil: Civil, layout: string): string {
  let text = "";
  for (let rest = layout; rest !== ""; ) {
    const chunk = nextChunk(rest);
    text += chunk.prefix + (chunk.element === "" ? "" : formatElement(civil, chunk.element));
    rest = chunk.rest;
  }
  return text;
}

const pad = (value: number, width: number, fill = "0"): string => String(value).padStart(width, fill);
const hour12 = (hour: number): number => (hour % 12 === 0 ? 12 : hour % 12);

const FORMATS: Readonly<Record<string, (civil: Civil) => string>> = {
  January: ({ month }) => MONTHS[month - 1] ?? "",
  Jan: ({ month }) => (MONTHS[month - 1] ?? "").slice(0, 3),
  "1": ({ month }) => String(month),
  "01": ({ month }) => pad(month, 2),
  Monday: ({ weekday }) => WEEKDAYS[weekday] ?? "",
  Mon: ({ weekday }) => (WEEKDAYS[weekday] ?? "").slice(0, 3),
  "2": ({ day }) => String(day),
  _2: ({ day }) => pad(day, 2, " "),
  "02": ({ day }) => pad(day, 2),
  __2: ({ yearDay }) => pad(yearDay, 3, " "),
  "002": ({ yearDay }) => pad(yearDay, 3),
  "15": ({ hour }) => pad(hour, 2),
  "3": ({ hour }) => String(hour12(hour)),
  "03": ({ hour }) => pad(hour12(hour), 2),
  "4": ({ minute }) => String(minute),
  "04": ({ minute }) => pad(minute, 2),
  "5": ({ second }) => String(second),
  "05": ({ second }) => pad(second, 2),
  "2006": ({ year }) => (year < 0 ? `-${pad(-year, 4)}` : pad(year, 4)),
  "06": ({ year }) => pad(Math.abs(year) % 100, 2),
  PM: ({ hour }) => (hour >= 12 ? "PM" : "AM"),
  pm: ({ hour }) => (hour >= 12 ? "pm" : "am"),
  /** A zone without a name shows its offset. */
  MST: ({ abbreviation, offset }) => abbreviation() || formatOffset(offset, "0700"),
};

function formatElement(civil: Civil, element: string): string {
  const format = FORMATS[element];
  if (format !== undefined) return format(civil);
  if (element.startsWith(".") || element.startsWith(",")) return formatFraction(civil.nanosecond, element);
  return element.startsWith("Z") && civil.offset === 0 ? "Z" : formatOffset(civil.offset, element.slice(1));
}

function formatFraction(nanosecond: number, element: string): string {
  const digits = pad(nanosecond, 9).slice(0, element.length - 1);
  if (element[1] === "0") return `${element[0]}${digits.padEnd(element.length - 1, "0")}`;
  const short = digits.replace(/0+$/, "");
  return short === "" ? "" : `${element[0]}${short}`;
}

function formatOffset(offset: number, shape: string): string {
  const size = Math.abs(offset);
  const parts = [Math.trunc(size / 3600), Math.trunc(size / 60) % 60, size % 60].map((part) => pad(part, 2));
  const colon = shape.includes(":") ? ":" : "";
  const count = shape.replaceAll(":", "").length / 2;
  return `${offset < 0 ? "-" : "+"}${parts.slice(0, count).join(colon)}`;
}
