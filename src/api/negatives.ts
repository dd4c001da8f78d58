// Numbers below 0 that Argo does not look at. No API takes pods below 0, so that an update would stand at them for ever: such a Rollout is
// InvalidSpec. Times below 0 work, here and there, as times that are over: lint notes what comes of them.
import type { Issue } from "./check.ts";
import type { Path } from "./decode.ts";
import type { Experiment } from "./experimentschema.ts";
import type { FieldError } from "./fielderror.ts";
import { notNegative } from "./podrule.ts";
import type { Rollout } from "./rolloutschema.ts";

const STRATEGY: Path = ["spec", "strategy"];
/** What comes of each time below 0. Source: Argo: rollout/replicaset.go addScaleDownDelay, bluegreen.go needsBlueGreenControllerPause, v1.9. */
const OUTCOMES = [
  ["scaleDownDelaySeconds", "old pods go at once, as with 0"],
  ["abortScaleDownDelaySeconds", "the aborted version's pods go at once; 0 keeps them"],
  ["autoPromotionSeconds", "it counts as 0"],
] as const;

/** Numbers of pods below 0 in the strategy. */
export function negativeSizeErrors({ spec }: Rollout): readonly FieldError[] {
  const { canary, blueGreen } = spec.strategy ?? {};
  const steps = canary?.steps ?? [];
  return [
    ...notNegative([...STRATEGY, "blueGreen", "previewReplicaCount"], blueGreen?.previewReplicaCount),
    ...steps.flatMap(({ experiment }, index) =>
      (experiment?.templates ?? []).flatMap(({ replicas }, template) => {
        const at = [...STRATEGY, "canary", "steps", index, "experiment", "templates", template];
        return notNegative([...at, "replicas"], replicas);
      }),
    ),
  ];
}

/** Times below 0 of a Rollout, as notes. */
export function negativeTimeNotes({ spec }: Rollout): readonly Issue[] {
  const { canary, blueGreen } = spec.strategy ?? {};
  const steps = canary?.steps ?? [];
  return [
    ...timeNotes(canary, [...STRATEGY, "canary"]),
    ...timeNotes(blueGreen, [...STRATEGY, "blueGreen"]),
    ...steps.flatMap(({ experiment }, index) =>
      timeNotes(experiment, [...STRATEGY, "canary", "steps", index, "experiment"]),
    ),
  ];
}

/** The same of an Experiment. */
export function negativeExperimentTimeNotes({ spec }: Experiment): readonly Issue[] {
  return timeNotes(spec, ["spec"]);
}

type Times = { readonly [Field in (typeof OUTCOMES)[number][0]]?: number | undefined };

function timeNotes(times: Times | undefined, path: Path): readonly Issue[] {
  return OUTCOMES.filter(([field]) => (times?.[field] ?? 0) < 0).map(([field, outcome]) => ({
    path: [...path, field],
    message: `is below 0: ${outcome}`,
    mend: "write 0 or more",
    isNote: true,
  }));
}
