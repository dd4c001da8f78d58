// Instants on the wire: RFC 3339 in whole seconds, UTC, as metav1.Time writes them.

/** The wire form of an instant in epoch milliseconds; fractions of a second are cut off. */
export function formatTime(atMs: number): string {
  return `${new Date(Math.floor(atMs / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** Epoch milliseconds of a wire time; undefined when there is none or it cannot be read. */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : atMs;
}
