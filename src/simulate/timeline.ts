// The timeline of a simulation: one line for every state that the Rollout came to, with how long after the beginning.
import { humanDuration } from "../lib/duration.ts";
import { type Moment, START_MS, type World } from "./world.ts";

/** The lines, widths aligned. */
export function timelineOf({ timeline }: Pick<World, "timeline">): readonly string[] {
  const rows = lastOfEach(timeline).map((moment) => [
    humanDuration(Math.max(0, moment.atMs - START_MS)),
    moment.phase,
    stepOf(moment),
    versionsOf(moment),
    moment.message,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0), 0));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** Of the states within one instant only the last, the others lasted no time; but whatever a user would call an end is kept. */
function lastOfEach(timeline: readonly Moment[]): readonly Moment[] {
  const isEnd = ({ phase }: Moment): boolean => phase === "Healthy" || phase === "Degraded";
  return timeline.filter((moment, index) => isEnd(moment) || timeline[index + 1]?.atMs !== moment.atMs);
}

function stepOf({ step, stepCount }: Moment): string {
  return step === undefined || stepCount === undefined ? "" : `step ${step}/${stepCount}`;
}

function versionsOf({ versions }: Moment): string {
  return versions
    .map(({ role, available, desired, weight }) => {
      const share = weight === undefined ? "" : ` ${weight}%`;
      return `${role} ${available}/${desired}${share}`;
    })
    .join(", ");
}
