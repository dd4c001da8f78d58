// What follows from an object alone, found once for each. Only for objects that are never written to: those of snapshots and caches, which
// are replaced when they change. What is remembered goes with the object.

/** `of`, asked once for each object. */
export function oncePerObject<A extends object, T>(of: (object: A) => T): (object: A) => T {
  const known = new WeakMap<A, { readonly value: T }>();
  return (object) => {
    let found = known.get(object);
    if (found === undefined) {
      found = { value: of(object) };
      known.set(object, found);
    }
    return found.value;
  };
}
