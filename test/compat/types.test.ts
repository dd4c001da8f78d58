// Our types beside those of @kubernetes-models/argo-rollouts, which are generated from Argo's CRDs: what we hold fits theirs, and we
// name every field that they name. All of it is checked by the compiler; the test at the end only says so.
import type { AnalysisRun as IAnalysisRun } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisRun";
import type { AnalysisTemplate as IAnalysisTemplate } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisTemplate";
import type { Experiment as IExperiment } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/Experiment";
import type { Rollout as IRollout } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/Rollout";
import { test } from "tap";
import type { AnalysisRun, AnalysisTemplate, Experiment, Rollout } from "../../src/api/api.ts";

/** Without readonly, and with what both sides leave open made equal: `unknown` and `{}`. */
type Plain<T> = T extends string | number | boolean | undefined | null
  ? T
  : T extends readonly (infer Item)[]
    ? Plain<Item>[]
    : unknown extends T
      ? object
      : T extends object
        ? { -readonly [Key in keyof T]: Plain<T[Key]> }
        : T;

/** Paths of fields that `Theirs` has and `Ours` lacks; never when there are none. Stops at what either side leaves open. */
type Missing<Theirs, Ours, At extends string = ""> = Theirs extends readonly (infer TheirItem)[]
  ? Ours extends readonly (infer OurItem)[]
    ? Missing<TheirItem, OurItem, `${At}[]`>
    : never
  : Theirs extends object
    ? string extends keyof Ours
      ? never
      : {
          [Key in keyof Theirs & string]-?: Key extends keyof Ours
            ? Missing<NonNullable<Theirs[Key]>, NonNullable<Ours[Key]>, `${At}.${Key}`>
            : `${At}.${Key}`;
        }[keyof Theirs & string]
    : never;

type Spec<T extends { spec?: unknown }> = NonNullable<T["spec"]>;
type Status<T extends { status?: unknown }> = NonNullable<T["status"]>;
type None<T extends never> = T;

// Pod templates are typed by what weir reads, and Jobs not at all.
type OurSpec = Omit<Spec<Rollout>, "template">;
type TheirSpec = Omit<Spec<IRollout>, "template">;

type WithoutTemplates<T> = Omit<T, "templates">;
type TemplateOf<T extends { spec?: { templates: readonly unknown[] } }> = Spec<T>["templates"][number];

export type NothingIsMissing = [
  None<Missing<TheirSpec, OurSpec>>,
  None<Missing<Status<IRollout>, Status<Rollout>>>,
  None<Missing<Spec<IAnalysisRun>, Spec<AnalysisRun>>>,
  None<Missing<Status<IAnalysisRun>, Status<AnalysisRun>>>,
  None<Missing<Spec<IAnalysisTemplate>, Spec<AnalysisTemplate>>>,
  None<Missing<WithoutTemplates<Spec<IExperiment>>, WithoutTemplates<Spec<Experiment>>>>,
  None<Missing<Omit<TemplateOf<IExperiment>, "template">, Omit<TemplateOf<Experiment>, "template">>>,
  None<Missing<Status<IExperiment>, Status<Experiment>>>,
];

/** A status is read as it is found, and may lack what a complete one has. */
type Lenient<T> = T extends (infer Item)[]
  ? Lenient<Item>[]
  : T extends object
    ? { [Key in keyof T]?: Lenient<T[Key]> }
    : T;

type Fits<Ours extends Theirs, Theirs> = Ours;

export type OursFitsTheirs = [
  Fits<Plain<OurSpec>, Plain<TheirSpec>>,
  Fits<Plain<Status<Rollout>>, Lenient<Plain<Status<IRollout>>>>,
  Fits<Plain<Status<AnalysisRun>>, Lenient<Plain<Status<IAnalysisRun>>>>,
  Fits<Plain<WithoutTemplates<Spec<Experiment>>>, Plain<WithoutTemplates<Spec<IExperiment>>>>,
  Fits<Plain<Status<Experiment>>, Lenient<Plain<Status<IExperiment>>>>,
];

test("types: the compiler holds ours against those made from Argo's CRDs", (t) => {
  t.pass("checked by tsc");
  t.end();
});
