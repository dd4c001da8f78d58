// Builtins that take maps apart and put them together.
import { fail } from "../error.ts";
import type { Meter } from "../meter.ts";
import { ANY_LIST, ANY_MAP, isList, isMap } from "../types.ts";
import {
  entriesOf,
  formatValue,
  GenericMap,
  GoList,
  goType,
  isListValue,
  kindOf,
  type Value,
} from "../values.ts";
import {
  at,
  type Builtins,
  cannot,
  one,
  type Rule,
  type Run,
  type RunContext,
  shownType,
} from "./builtin.ts";

/** What taking a map apart costs, for each entry. */
export const ENTRY_STEPS = 12;

function entries(refusal: string, pick: (entry: readonly [Value, Value]) => Value): Run {
  return ([value = null], { meter }) => {
    const found = entriesOf(value) ?? fail(refusal.replace("%s", kindOf(value)));
    meter.spend(found.length * ENTRY_STEPS);
    return found.map(pick);
  };
}

function fromPairs([value = null]: readonly Value[], context: RunContext): Value {
  if (!isListValue(value)) return fail(`cannot transform ${shownValue(value, context.meter)} from pairs`);
  const map = new GenericMap("map[interface {}]interface {}");
  context.meter.spend(value.length);
  for (const pair of value) {
    if (!isListValue(pair)) return fail(`invalid pair ${formatValue(pair, context.meter)}`);
    if (pair.length !== 2) fail(`invalid pair length ${formatValue(pair, context.meter)}`);
    map.set(at(pair, 0), at(pair, 1));
  }
  return map;
}

/** Go's %s, which complains about numbers. */
function shownValue(value: Value, meter: Meter): string {
  if (value === null) return "<invalid reflect.Value>";
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "bigint")
    return `%!s(${goType(value)}=${formatValue(value, meter)})`;
  return formatValue(value, meter);
}

const onMap = (what: string): Rule => one(isMap, cannot(what), () => ANY_LIST);

export const MAP_BUILTINS: Builtins = {
  keys: { rule: onMap("get keys from"), run: entries("cannot get keys from %s", ([key]) => key) },
  values: {
    rule: onMap("get values from"),
    run: entries("cannot get values from %s", ([, value]) => value),
  },
  toPairs: {
    rule: one(
      isMap,
      (type) => `cannot transform ${shownType(type)} to pairs`,
      () => ANY_LIST,
    ),
    run: (args, context) => {
      const pairs = entries("cannot transform %s to pairs", (pair) => new GoList("[2]interface {}", pair));
      const found = pairs(args, context);
      return new GoList("[][2]interface {}", isListValue(found) ? found : []);
    },
  },
  fromPairs: {
    rule: one(
      isList,
      (type) => `cannot transform ${shownType(type)} from pairs`,
      () => ANY_MAP,
    ),
    run: fromPairs,
  },
};
