// Compile-time and run-time guards for values that the types already rule out.

/** Closes a switch over a tagged union: a new variant breaks the build here, a foreign value throws. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected variant: ${JSON.stringify(value)}`);
}
