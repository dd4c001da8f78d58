// Where the story is shown: redrawn in place on a terminal, one line now and then elsewhere. Holds what was last seen, draws it, nothing else.
import { POD_HASH_LABEL } from "../../api/api.ts";
import type { Cli } from "../cli.ts";
import { phaseSeen, type RolloutParts } from "../rolloutview.ts";
import { countsOf, type LoadSummary } from "./load.ts";
import { draw, type Picture, type VersionTally } from "./picture.ts";
import type { Scene } from "./story.ts";

const CLEAR_SCREEN = "\u001b[H\u001b[2J";
const REDRAW_MS = 250;
/** Without a terminal: the time between two lines. */
const LINE_MS = 5_000;
/** Seconds that the measured split is made of. */
const RECENT_SECONDS = 3;
const MAX_NOTES = 4;

export interface Stage {
  take(scene: Scene): void;
  show(parts: RolloutParts | undefined): void;
  /** Draws the last picture and leaves it on the screen. */
  close(): void;
}

/** Makes a stage; it redraws by itself until closed. */
export function createStage(cli: Cli, startedMs: number): Stage {
  const seconds: LoadSummary[] = [];
  const totals = new Map<string, { requests: number; errors: number }>();
  const acknowledged = new Map<number, number>();
  const notes: string[] = [];
  let title = "";
  let failures = 0;
  let parts: RolloutParts | undefined;
  let latencyMs: Picture["latencyMs"] = { p50: null, p99: null };
  let shownVersion = "";

  const picture = (): Picture => ({
    title,
    elapsedMs: Date.now() - startedMs,
    analysisProgress: parts === undefined ? 0 : analysisProgress(parts),
    acknowledgedMs: acknowledged,
    versions: tallies(totals, seconds),
    roles: parts === undefined ? {} : rolesOf(parts),
    failures,
    latencyMs,
    notes,
    ...(parts !== undefined && { rollout: parts.rollout }),
  });
  const redraw = (): void => {
    if (cli.terminal === undefined) return;
    const { columns, rows } = cli.terminal;
    const lines = draw(picture(), columns, Date.now()).slice(0, Math.max(rows - 1, 1));
    cli.write(`${CLEAR_SCREEN}${lines.join("\n")}\n`);
  };
  const say = (): void => {
    if (cli.terminal === undefined && parts !== undefined) cli.out(lineOf(picture(), parts));
  };
  const timer = setInterval(
    cli.terminal === undefined ? say : redraw,
    cli.terminal === undefined ? LINE_MS : REDRAW_MS,
  );

  const takeSecond = (second: LoadSummary): void => {
    seconds.push(second);
    if (seconds.length > RECENT_SECONDS) seconds.shift();
    failures += second.failed;
    latencyMs = second.latencyMs;
    for (const version of Object.keys(second.versions)) {
      const { requests, errors } = countsOf(second, version);
      const known = totals.get(version) ?? { requests: 0, errors: 0 };
      totals.set(version, { requests: known.requests + requests, errors: known.errors + errors });
    }
  };
  return {
    take(scene) {
      if (scene.title !== undefined) {
        title = scene.title;
        if (cli.terminal === undefined) cli.out(title);
      }
      if (scene.note !== undefined) notes.push(scene.note);
      if (notes.length > MAX_NOTES) notes.shift();
      if (scene.second !== undefined) takeSecond(scene.second);
      const { weightTime } = scene;
      if (weightTime === undefined || parts === undefined) return;
      if (weightTime.version !== shownVersion) acknowledged.clear();
      shownVersion = weightTime.version;
      const index = stepOfWeight(parts, weightTime.weight);
      if (index >= 0) acknowledged.set(index, weightTime.tookMs);
    },
    show(next) {
      parts = next;
    },
    close() {
      clearInterval(timer);
      redraw();
    },
  };
}

function stepOfWeight({ rollout }: RolloutParts, weight: number): number {
  return (rollout.spec.strategy?.canary?.steps ?? []).findIndex((step) => step.setWeight === weight);
}

function tallies(
  totals: ReadonlyMap<string, { readonly requests: number; readonly errors: number }>,
  seconds: readonly LoadSummary[],
): VersionTally[] {
  return [...totals].map(([version, counts]) => ({
    version,
    ...counts,
    recentRequests: seconds.reduce((sum, second) => sum + countsOf(second, version).requests, 0),
  }));
}

/** The versions of the stable and the canary pods, by the tags of their images. */
function rolesOf({ rollout, replicaSets }: RolloutParts): Picture["roles"] {
  const tagOf = (hash: string | undefined): string | undefined =>
    replicaSets
      .find((set) => set.metadata.labels?.[POD_HASH_LABEL] === hash)
      ?.spec.template?.spec?.containers?.[0]?.image?.split(":")
      .at(-1);
  const stable = tagOf(rollout.status.stableRS);
  const canary = tagOf(rollout.status.currentPodHash);
  return {
    ...(stable !== undefined && { stable }),
    ...(canary !== undefined && canary !== stable && { canary }),
  };
}

/** Measurements taken of those that the current step's run will take. */
function analysisProgress({ rollout, analysisRuns }: RolloutParts): number {
  const name = rollout.status.canary?.currentStepAnalysisRunStatus?.name;
  const run = analysisRuns.find(({ metadata }) => metadata.name === name);
  if (run === undefined) return 0;
  const wanted = run.spec.metrics.reduce((sum, { count }) => sum + Number(count ?? 1), 0);
  const taken = (run.status.metricResults ?? []).reduce((sum, { count }) => sum + (count ?? 0), 0);
  return wanted === 0 ? 0 : taken / wanted;
}

/** One line for logs and pipes. */
function lineOf(picture: Picture, { rollout }: RolloutParts): string {
  const { phase } = phaseSeen(rollout);
  const steps = rollout.spec.strategy?.canary?.steps?.length ?? 0;
  const weight = rollout.status.canary?.weights?.canary.weight ?? 0;
  const counts = picture.versions.map(
    ({ version, requests, errors }) => `${version} ${requests} (${errors} errors)`,
  );
  const seconds = Math.round(picture.elapsedMs / 1000);
  const step = `${Math.min(rollout.status.currentStepIndex ?? 0, steps)}/${steps}`;
  return `  ${seconds} s · ${phase} · step ${step} · set ${weight} % · ${counts.join(", ")}, no answer ${picture.failures}`;
}
