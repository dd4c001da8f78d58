// Instants on the wire: RFC 3339 in whole seconds, as metav1.Time writes them.

/** The wire form of an instant; fractions of a second are cut off. */
export function formatTime(atMs: number): string {
  return `${new Date(Math.floor(atMs / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** Epoch milliseconds, undefined when there is no time or it cannot be read. */
export function parseTime(text: string | undefined): number | undefined {
  const atMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(atMs) ? undefined : atMs;
}
