// The one failure of the condition language. Its text is the reference library's wherever that text has been compared.

/** A condition that does not parse, does not type-check, or fails while it runs. Always an Error measurement, never a crash. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
  /** Where in the condition, in characters from its start; undefined where no part of it is to blame. */
  readonly at: number | undefined;

  constructor(message: string, at?: number) {
    super(message);
    this.at = at;
  }
}

/** Throws a ConditionError. */
export function fail(message: string, at?: number): never {
  throw new ConditionError(message, at);
}

/** Runs `work`; a failure that names no place gets `at`. */
export function locate<T>(at: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw located(error, at);
  }
}

/** The same error, naming `at` if it is a ConditionError that names no place yet. */
export function located(error: unknown, at: number): unknown {
  return error instanceof ConditionError && error.at === undefined
    ? new ConditionError(error.message, at)
    : error;
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Line and column (both from 1) of a character. */
export function placeOf(condition: string, at: number): Place {
  const before = Array.from(condition).slice(0, at);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.filter((char) => char === "\n").length + 1, column: before.length - lineStart + 1 };
}
