// Header mutations of xDS → FieldEdits. The levels (version, route, virtual host, route configuration) apply one after another, within a level
// first what is removed, then what is overwritten, then what is added, as in Envoy; what comes of it is worked out here for every
// name, so that a request pays for the outcome alone. Pure; problems are collected, not thrown.
import { isEditable, isFieldName, MAX_ADDED_BYTES, MAX_EDITED_NAMES } from "../../lib/fields.ts";
import type { HeaderValueOption } from "../../xds/types.ts";
import { HeaderValueOption_HeaderAppendAction as Action } from "../../xds/types.ts";
import type { FieldEdits, Lines } from "../route/table.ts";
import { IS_VALUE, lowerBytes } from "../wire/bytes.ts";
import type { Problems } from "./problems.ts";

/** Mutations of one level; paths are those of the message's fields. */
export interface EditLevel {
  readonly add: readonly HeaderValueOption[];
  readonly addAt: string;
  readonly remove: readonly string[];
  readonly removeAt: string;
}

/** What `%…%` in a value can stand for that is known beforehand. */
export interface EditFacts {
  readonly cluster: string;
  readonly route: string;
}

const CLIENT_ADDRESS = "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT";

/** What becomes of a name: whether the fields that came stay, and the lines that follow. */
interface Outcome {
  isKept: boolean;
  lines: Lines[];
}

/** All levels as one, in their order; null when they change nothing. */
export function compileEdits(
  levels: readonly EditLevel[],
  facts: EditFacts,
  problems: Problems,
): FieldEdits | null {
  const names = new Set<string>();
  for (const { add, addAt, remove, removeAt } of levels) {
    add.forEach(
      (option, i) => void names.add(nameOf(option.header?.key ?? "", `${addAt}[${i}].header.key`, problems)),
    );
    remove.forEach((name, i) => void names.add(nameOf(name, `${removeAt}[${i}]`, problems)));
  }
  if (names.size === 0) return null;
  const first = levels.find(({ add, remove }) => add.length + remove.length > 0);
  const at = first === undefined || first.add.length === 0 ? (first?.removeAt ?? "") : first.addAt;
  if (names.size > MAX_EDITED_NAMES) problems.add(at, `concern more than ${MAX_EDITED_NAMES} names`);
  const all = [...names];
  const outcomes = (isThere: boolean): Outcome[] =>
    all.map((name) => {
      const outcome: Outcome = { isKept: true, lines: [] };
      for (const level of levels) applyLevel(outcome, isThere, name, level, facts, problems);
      return outcome;
    });
  const whenThere = outcomes(true);
  const whenMissing = outcomes(false);
  const size = whenThere
    .flatMap(({ lines }) => lines.flat())
    .reduce((sum, piece) => sum + (piece?.length ?? 0), 0);
  if (size > MAX_ADDED_BYTES) problems.add(at, `add more than ${MAX_ADDED_BYTES} bytes`);
  return {
    names: all.map(lowerBytes),
    keeps: Uint8Array.from(whenThere, ({ isKept }) => (isKept ? 1 : 0)),
    whenThere: whenThere.map(({ lines }) => lines.flat()),
    whenMissing: whenMissing.map(({ lines }) => lines.flat()),
  };
}

function applyLevel(
  outcome: Outcome,
  isThere: boolean,
  name: string,
  { add, addAt, remove }: EditLevel,
  facts: EditFacts,
  problems: Problems,
): void {
  if (remove.some((one) => one.toLowerCase() === name)) {
    outcome.isKept = false;
    outcome.lines = [];
  }
  // Conditions look at what is there before this level adds or overwrites anything.
  const exists = (isThere && outcome.isKept) || outcome.lines.length > 0;
  const added: Lines[] = [];
  let overwriting: Lines | undefined;
  add.forEach((option, i) => {
    if (option.header?.key.toLowerCase() !== name) return;
    const line = lineOf(option, name, `${addAt}[${i}]`, facts, problems);
    if (line === undefined) return;
    const action = actionOf(option);
    if (action === Action.APPEND_IF_EXISTS_OR_ADD) added.push(line);
    else if (action === Action.ADD_IF_ABSENT) added.push(...(exists ? [] : [line]));
    else if (action === Action.OVERWRITE_IF_EXISTS_OR_ADD || exists) overwriting = line;
  });
  if (overwriting !== undefined) {
    outcome.isKept = false;
    outcome.lines = [overwriting];
  }
  outcome.lines.push(...added);
}

function actionOf({ append, appendAction }: HeaderValueOption): Action {
  if (append === undefined) return appendAction;
  return append ? Action.APPEND_IF_EXISTS_OR_ADD : Action.OVERWRITE_IF_EXISTS_OR_ADD;
}

/** `name: value` and the end of the line; undefined when the value is empty and may not be. */
function lineOf(
  { header, append, appendAction, keepEmptyValue }: HeaderValueOption,
  name: string,
  at: string,
  facts: EditFacts,
  problems: Problems,
): Lines | undefined {
  const { value = "", rawValue = new Uint8Array(0) } = header ?? {};
  if (value !== "" && rawValue.length > 0) problems.add(`${at}.header`, "has both value and raw_value");
  if (append !== undefined && appendAction !== Action.APPEND_IF_EXISTS_OR_ADD)
    problems.add(`${at}.append`, "stands beside append_action");
  const text =
    rawValue.length > 0
      ? Buffer.from(rawValue).toString("latin1")
      : Buffer.from(value, "utf8").toString("latin1");
  if (text === "" && !keepEmptyValue) return undefined;
  if (![...Buffer.from(text, "latin1")].every((byte) => IS_VALUE[byte] === 1))
    problems.add(`${at}.header.value`, "has a byte that a field may not have");
  return [
    Buffer.from(`${name}: `),
    ...substituted(text, `${at}.header.value`, facts, problems),
    Buffer.from("\r\n"),
  ];
}

/** Literal text and the few commands that have a meaning here; null stands for the client's address. */
function substituted(text: string, at: string, facts: EditFacts, problems: Problems): (Buffer | null)[] {
  const pieces: (Buffer | null)[] = [];
  let literal = "";
  const parts = text.split(/(%[^%]*%)/);
  for (const part of parts) {
    if (part === "%%") literal += "%";
    else if (part === "%UPSTREAM_CLUSTER%") literal += facts.cluster;
    else if (part === "%ROUTE_NAME%") literal += facts.route;
    else if (part === `%${CLIENT_ADDRESS}%`) {
      pieces.push(Buffer.from(literal, "latin1"), null);
      literal = "";
    } else if (part.includes("%"))
      problems.add(at, `has ${JSON.stringify(part)}, which has no meaning here; a percent sign is %%`);
    else literal += part;
  }
  pieces.push(Buffer.from(literal, "latin1"));
  return pieces;
}

function nameOf(spelt: string, at: string, problems: Problems): string {
  if (!isFieldName(spelt)) problems.add(at, `is no name of a field: ${JSON.stringify(spelt)}`);
  else if (!isEditable(spelt)) problems.add(at, `is ${spelt.toLowerCase()}, which may not be edited`);
  return spelt.toLowerCase();
}
