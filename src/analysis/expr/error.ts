// The one failure of the condition language. Its text is the reference library's wherever that text has been compared.

/** A condition that does not parse, does not type-check, or fails while it runs. Always an Error measurement, never a crash. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
}

/** Throws a ConditionError. */
export function fail(message: string): never {
  throw new ConditionError(message);
}
