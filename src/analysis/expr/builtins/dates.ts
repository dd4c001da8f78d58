// Builtins on time: now, date, duration, timezone.
import { ConditionError, fail } from "../error.ts";
import { parseDuration } from "../time/duration.ts";
import { durationOf, Moment } from "../time/moment.ts";
import { DATE_LAYOUTS, parseTime } from "../time/parse.ts";
import { loadZone, Zone } from "../time/zone.ts";
import { DURATION, LOCATION, STRING, TIME, type Type, typeName } from "../types.ts";
import { asText, type Value } from "../values.ts";
import { at, type Builtins, overloads, type RunContext } from "./builtin.ts";

const isZone = (type: Type | undefined): boolean =>
  type !== undefined && typeName(type) === typeName(LOCATION);

function nowType(args: readonly Type[]): Type {
  if (args.length > 1 || (args.length === 1 && !isZone(args[0])))
    fail(`invalid number of arguments (expected 0, got ${args.length})`);
  return TIME;
}

function now([zone]: readonly Value[], { nowMs }: RunContext): Value {
  const ns = BigInt(Math.round(nowMs)) * 1_000_000n;
  return zone instanceof Zone ? new Moment(ns, zone) : new Moment(ns);
}

function dateType(args: readonly Type[]): Type {
  if (args.length < 1) fail("invalid number of arguments (expected at least 1, got 0)");
  const count = isZone(args[0]) ? args.length - 1 : args.length;
  if (count > 3) fail(`invalid number of arguments (expected at most 3, got ${count})`);
  return TIME;
}

/** What loading a zone and finding its name costs, and reading a text by a layout for each character of the two; in steps. */
const ZONE_STEPS = 3000;
const STEPS_PER_CHAR = 10;

function date(args: readonly Value[], { meter }: RunContext): Value {
  const zone = args[0] instanceof Zone ? args[0] : undefined;
  const rest = zone === undefined ? args : args.slice(1);
  if (rest.length === 0) return fail("runtime error: index out of range [0] with length 0");
  const text = asText(at(rest, 0));
  meter.spend(
    STEPS_PER_CHAR * args.reduce<number>((sum, arg) => sum + (typeof arg === "string" ? arg.length : 0), 20),
  );
  if (rest.length === 2) return parseTime(asText(at(rest, 1)), text, zone);
  if (rest.length === 3) {
    const layout = asText(at(rest, 1));
    meter.spend(ZONE_STEPS);
    return parseTime(layout, text, loadZone(asText(at(rest, 2))));
  }
  for (const layout of DATE_LAYOUTS) {
    try {
      return parseTime(layout, text, zone);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
    }
  }
  return fail(`invalid date ${text}`);
}

export const DATE_BUILTINS: Builtins = {
  now: { rule: { validate: nowType }, run: now },
  date: { rule: { validate: dateType }, run: date },
  duration: {
    rule: overloads("duration", [[STRING], DURATION]),
    run: (args, { meter }) => {
      meter.spend(asText(at(args, 0)).length);
      return durationOf(parseDuration(asText(at(args, 0))));
    },
  },
  timezone: {
    rule: overloads("timezone", [[STRING], LOCATION]),
    run: (args, { meter }) => {
      meter.spend(ZONE_STEPS);
      return loadZone(asText(at(args, 0)));
    },
  },
};
