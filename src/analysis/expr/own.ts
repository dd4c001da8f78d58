// Tables by name, asked with names that come from a condition: what every object inherits (constructor, toString) is no entry.

/** The table's own entry. */
export function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
