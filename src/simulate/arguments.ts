// The arguments of a script's commands: every command has a form such as `ready stable|canary N`, and what a line gives is held against it
// before anything happens. Words in capitals stand for a value, others for themselves, `a|b` for one of these words, `[…]` may be left out, `…...` repeats.
import { didYouMean } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { messageOf } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";

const RUN_PHASES = ["Pending", "Running", "Successful", "Failed", "Error", "Inconclusive"];

interface Kind {
  /** What is wrong with a text; undefined for nothing. */
  readonly fault: (text: string) => string | undefined;
  /** All the rest of the line is this one argument. */
  readonly takesRest?: true;
}

const WORD: Kind = { fault: () => undefined };

const KINDS: Readonly<Record<string, Kind>> = {
  I: { fault: (text) => unless(isCount(text), `${text} is no index from 0 on`) },
  N: { fault: (text) => unless(isCount(text), `${text} is no whole number from 0 on`) },
  DURATION: {
    fault: (text) => unless((parseDuration(text) ?? -1) >= 0, `${text} is no duration such as 30s or 2h`),
  },
  PHASE: { fault: (text) => notOneOf(text, RUN_PHASES) },
  ANSWER: { fault: answerFault },
  JSON: { fault: jsonFault, takesRest: true },
  VALUE: { fault: () => undefined, takesRest: true },
  WORDS: { fault: () => undefined, takesRest: true },
  "SERVICE=N": {
    fault: (text) =>
      unless(/^[^=]+=\d+$/.test(text), `${text} is no Service with its weight, as in web-canary=20`),
  },
  "KEY=VALUE": {
    fault: (text) => unless(/^[^=\s]+=/.test(text), `${text} is no key with its value, as in key=value`),
    takesRest: true,
  },
};

/** What a command is given, one text for each place of `form`. Throws, with the form, for what does not fit it. */
export function argumentsOf(verb: string, form: string, text: string): readonly string[] {
  const usage = `write: ${`${verb} ${form}`.trim()}`;
  const args: string[] = [];
  let rest = text.trim();
  for (const place of form.split(" ").filter((item) => item !== "")) {
    const { name, isOptional, repeats } = placeOf(place);
    if (rest === "" && !isOptional) throw new Error(`${name} is missing; ${usage}`);
    const kind = kindOf(name);
    do {
      if (rest === "") break;
      const arg = kind.takesRest === true ? rest : (rest.split(/\s/, 1)[0] ?? "");
      const fault = kind.fault(arg);
      if (fault !== undefined) throw new Error(`${fault}; ${usage}`);
      args.push(arg);
      rest = rest.slice(arg.length).trimStart();
    } while (repeats);
  }
  if (rest !== "") throw new Error(`${rest} is too much; ${usage}`);
  return args;
}

/** What is wrong with one text for the place `name` of a form; undefined for nothing. */
export function faultOf(name: string, text: string): string | undefined {
  return kindOf(name).fault(text);
}

function kindOf(name: string): Kind {
  return /\||^[a-z]/.test(name) ? choice(name.split("|")) : (KINDS[name] ?? WORD);
}

function placeOf(place: string): {
  readonly name: string;
  readonly isOptional: boolean;
  readonly repeats: boolean;
} {
  const isOptional = place.startsWith("[");
  const bare = isOptional ? place.slice(1, -1) : place;
  const repeats = bare.endsWith("...");
  return { name: repeats ? bare.slice(0, -"...".length) : bare, isOptional, repeats };
}

function choice(names: readonly string[]): Kind {
  return { fault: (text) => notOneOf(text, names) };
}

function notOneOf(text: string, names: readonly string[]): string | undefined {
  return unless(
    names.includes(text),
    `${text} is ${names.length === 1 ? "not" : "none of"} ${names.join(", ")}${didYouMean(text, names)}`,
  );
}

function isCount(text: string): boolean {
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text));
}

/** `Running/30s`, `Successful`, `error`, `none`. */
function answerFault(text: string): string | undefined {
  const [phase = "", after, ...more] = text.split("/");
  const isOne = ["Running", "Successful", "Failed", "Error", "error", "none"].includes(phase);
  const isTimed = after === undefined || (parseDuration(after) ?? -1) >= 0;
  return unless(
    isOne && isTimed && more.length === 0,
    `${text} is none of Running/30s, Running, Successful, Failed, Error, error, none`,
  );
}

function jsonFault(text: string): string | undefined {
  try {
    return unless(isObject(JSON.parse(text)), `${text} is no JSON object`);
  } catch (error) {
    return messageOf(error);
  }
}

function unless(isRight: boolean, fault: string): string | undefined {
  return isRight ? undefined : fault;
}
