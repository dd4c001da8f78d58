// The quick start's picture: the phase, a bar for every step, the split that is set beside the split that is measured, and requests and errors
// per version. Pure: from what was last seen to lines of text that fit a terminal.
import { memberOf, type Rollout, type Step, stepsOf, stepText } from "../../api/api.ts";
import { fitLine, fitTable, renderTable } from "../narrow.ts";
import { phaseSeen } from "../rolloutview.ts";

/** One version as the load generator saw it answer. */
export interface VersionTally {
  readonly version: string;
  /** Since the story began. */
  readonly requests: number;
  readonly errors: number;
  /** Within the last seconds: what the measured split is made of. */
  readonly recentRequests: number;
}

export interface Picture {
  readonly title: string;
  readonly elapsedMs: number;
  readonly rollout?: Rollout;
  /** Progress of the current analysis step, 0 to 1. */
  readonly analysisProgress: number;
  /** How long each step's weight took until both proxies had it in force, by step index; of the present revision. */
  readonly acknowledgedMs: ReadonlyMap<number, number>;
  readonly versions: readonly VersionTally[];
  /** Which version the stable and the canary pods are. */
  readonly roles: { readonly stable?: string; readonly canary?: string };
  /** Requests that got no answer. */
  readonly failures: number;
  /** Of the last second, all versions together. */
  readonly latencyMs: { readonly p50: number | null; readonly p99: number | null };
  readonly notes: readonly string[];
}

const BAR_CELLS = { least: 6, most: 24 } as const;
/** What a step's line holds beside its bar, with and without the words behind it. */
const BESIDE_BAR = { noted: 62, bare: 24 } as const;

/** Lines of the picture, none longer than `columns`: texts go on in the next line, bars are shorter, and what matters least is left out. */
export function draw(picture: Picture, columns: number, nowMs: number): string[] {
  const { rollout } = picture;
  const lines = [`weir quick start · ${clockText(picture.elapsedMs)} · ${picture.title}`, ""];
  if (rollout !== undefined) {
    const { phase, message } = phaseSeen(rollout);
    const cells = barCells(columns);
    lines.push(`rollout ${rollout.metadata.name}: ${phase}${message === "" ? "" : ` (${message})`}`, "");
    lines.push(
      ...stepLines(picture, rollout, nowMs, columns),
      "",
      ...splitLines(picture, rollout, cells),
      "",
    );
  }
  lines.push(...versionLines(picture, columns));
  if (picture.notes.length > 0) lines.push("", ...picture.notes);
  return lines.flatMap((line) => fitLine(line, 2, columns));
}

function barCells(columns: number): number {
  const { least, most } = BAR_CELLS;
  const { noted, bare } = BESIDE_BAR;
  const room = columns - (columns < noted + least ? bare : noted);
  return Math.min(Math.max(room, least), most);
}

function clockText(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

function bar(share: number, cells: number): string {
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * cells);
  return "█".repeat(filled) + "░".repeat(cells - filled);
}

function stepLines(picture: Picture, rollout: Rollout, nowMs: number, columns: number): string[] {
  const cells = barCells(columns);
  const current = rollout.status.currentStepIndex ?? 0;
  const isAborted = rollout.status.abort === true;
  const words = (rollout.spec.strategy?.canary?.steps ?? []).map(stepText);
  const rows = stepsOf(rollout).map((step, index) => {
    const share = index < current ? 1 : index > current ? 0 : progressOf(step, picture, rollout, nowMs);
    const tookMs = picture.acknowledgedMs.get(index);
    const icon = isAborted ? "·" : index < current ? "✔" : index === current ? "▶" : "·";
    const note = tookMs === undefined ? "" : `in force in both proxies after ${Math.round(tookMs)} ms`;
    return [`  ${icon} ${index + 1}`, words[index] ?? "", bar(isAborted ? 0 : share, cells), note];
  });
  return [isAborted ? "steps (aborted)" : "steps", ...fitTable(rows, [3], columns)];
}

function progressOf(step: Step, { analysisProgress }: Picture, rollout: Rollout, nowMs: number): number {
  if (memberOf(step, "analysis") !== undefined) return analysisProgress;
  const pause = memberOf(step, "pause");
  if (pause === undefined) return 0.5;
  const began = rollout.status.pauseConditions?.[0]?.startTime;
  if (began === undefined || pause.durationMs === "indefinite") return 0;
  return (nowMs - Date.parse(began)) / Math.max(pause.durationMs, 1);
}

function splitLines(picture: Picture, rollout: Rollout, cells: number): string[] {
  const weights = rollout.status.canary?.weights;
  const setCanary =
    rollout.status.stableRS === rollout.status.currentPodHash ? 0 : (weights?.canary.weight ?? 0);
  const recent = (version: string | undefined): number =>
    picture.versions.find((tally) => tally.version === version)?.recentRequests ?? 0;
  const { stable, canary } = picture.roles;
  const isApart = canary !== undefined && canary !== stable;
  const total = recent(stable) + (isApart ? recent(canary) : 0);
  const measured = total === 0 ? undefined : ((isApart ? recent(canary) : 0) / total) * 100;
  const row = (name: string, percent: number | undefined): string[] => [
    `  ${name}`,
    percent === undefined
      ? "no requests yet"
      : `${bar(percent / 100, cells)} ${percent.toFixed(1).padStart(5)} %`,
  ];
  return ["traffic to the new version", ...renderTable([row("set", setCanary), row("measured", measured)])];
}

function versionLines({ versions, roles, failures, latencyMs }: Picture, columns: number): string[] {
  const rows = versions.map(({ version, requests, errors }) => {
    const role = version === roles.stable ? "stable" : version === roles.canary ? "canary" : "";
    const rate = requests === 0 ? "" : `${((errors / requests) * 100).toFixed(1)} %`;
    return [`  ${version}`, role, String(requests), String(errors), rate];
  });
  const time = (value: number | null): string => (value === null ? "-" : `${value.toFixed(1)} ms`);
  return [
    ...fitTable([["  version", "role", "requests", "errors", ""], ...rows], [3], columns),
    `  requests without an answer: ${failures} · latency p50 ${time(latencyMs.p50)}, p99 ${time(latencyMs.p99)}`,
  ];
}
