// Time zones: UTC, fixed offsets, and those of the IANA database, which the runtime carries. The machine's own zone is never
// asked: "Local" is UTC, so that a condition means the same everywhere.
import { fail } from "../error.ts";
import { GoObject } from "../values.ts";

export interface ZoneAt {
  /** Seconds east of UTC. */
  readonly offset: number;
  /** CET, UTC, +03. */
  readonly abbreviation: () => string;
}

export class Zone extends GoObject {
  readonly goType = "*time.Location";
  readonly name: string;
  readonly #at: (epochSeconds: number) => ZoneAt;

  constructor(name: string, at: (epochSeconds: number) => ZoneAt) {
    super();
    this.name = name;
    this.#at = at;
  }

  at(epochSeconds: number): ZoneAt {
    return this.#at(epochSeconds);
  }

  format(): string {
    return this.name;
  }

  identity(): string {
    return this.name;
  }
}

export const UTC = new Zone("UTC", () => ({ offset: 0, abbreviation: () => "UTC" }));

/** A zone that always has this offset. */
export function fixedZone(name: string, offset: number): Zone {
  return new Zone(name, () => ({ offset, abbreviation: () => name }));
}

/** Go's time.LoadLocation; throws ConditionError. */
export function loadZone(name: string): Zone {
  if (name === "" || name === "UTC") return UTC;
  if (name === "Local") return LOCAL;
  if (name.includes("..") || name.startsWith("/") || name.startsWith("\\"))
    return fail("time: invalid location name");
  // The runtime also takes offsets and any case; the database knows names only.
  const clock = /^[A-Za-z]/.test(name) ? clockOf(name) : undefined;
  if (clock === undefined) return fail(`unknown time zone ${name}`);
  return new Zone(name, (epochSeconds) => {
    const offset = offsetOf(clock, epochSeconds);
    return { offset, abbreviation: () => abbreviationOf(name, epochSeconds, offset) };
  });
}

const LOCAL = new Zone("Local", () => ({ offset: 0, abbreviation: () => "UTC" }));

function clockOf(name: string): Intl.DateTimeFormat | undefined {
  try {
    const clock = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    const known = clock.resolvedOptions().timeZone;
    return known.toLowerCase() === name.toLowerCase() && known !== name ? undefined : clock;
  } catch {
    return undefined;
  }
}

function offsetOf(clock: Intl.DateTimeFormat, epochSeconds: number): number {
  const parts = new Map(
    clock.formatToParts(epochSeconds * 1000).map(({ type, value }) => [type as string, value]),
  );
  const part = (name: string): number => Number(parts.get(name) ?? "0");
  const year = parts.get("era")?.startsWith("B") === true ? 1 - part("year") : part("year");
  const shown = new Date(0);
  shown.setUTCFullYear(year, part("month") - 1, part("day"));
  shown.setUTCHours(part("hour"), part("minute"), part("second"), 0);
  return Math.round(shown.getTime() / 1000 - epochSeconds);
}

/** English abbreviations are spread over the English locales; where none has one, Go's database too shows the offset. */
const LOCALES = ["en-US", "en-GB", "en-AU", "en-IN", "en-ZA"];

function abbreviationOf(timeZone: string, epochSeconds: number, offset: number): string {
  for (const locale of LOCALES) {
    const format = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: "short" });
    const name = format.formatToParts(epochSeconds * 1000).find(({ type }) => type === "timeZoneName")?.value;
    if (name !== undefined && /^[A-Z]+$/.test(name)) return name;
  }
  const minutes = Math.trunc(Math.abs(offset) / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  const rest = minutes % 60 === 0 ? "" : two(minutes % 60);
  return `${offset < 0 ? "-" : "+"}${two(Math.trunc(minutes / 60))}${rest}`;
}
