// What a router is: pure functions from a Rollout, the intent decided for it and the objects that were observed, to the writes that bring
// those objects to the intent. Nothing here performs, waits or remembers: each pass renders against what it sees.
import type {
  FieldError,
  KubeObject,
  ResourceType,
  Rollout,
  RouterCapabilities,
  RouterProblem,
  RouterState,
  RouterView,
  TrafficIntent,
} from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import type { BalancerAnswers } from "./albtargets.ts";

export interface Router {
  /** Its field in `trafficRouting`. */
  readonly name: string;
  readonly capabilities: RouterCapabilities;
  /** Kinds of its objects. */
  readonly types: readonly ResourceType[];
  /** The objects that it reads or writes for the Rollout; what exists of them is `observed` below. */
  reads(rollout: Rollout): readonly ObjectName[];
  /** What is wrong with its settings by themselves. */
  settingsErrors(rollout: Rollout): readonly FieldError[];
  /** Which objects that the settings name are missing, or do not fit. */
  problems(rollout: Rollout, observed: Observed): readonly RouterProblem[];
  /** The writes that are left to do, none to objects that refuse them; rendering again what they lead to gives none. */
  render(rollout: Rollout, intent: TrafficIntent, observed: Observed): readonly Patch[];
  /** What the objects hold. */
  observe(rollout: Rollout, observed: Observed): RouterState;
  /** Of a router whose load balancers can be asked what they really do. */
  readonly balancers?: {
    /** DNS names to ask about. */
    names(rollout: Rollout, observed: Observed): readonly string[];
    read(
      rollout: Rollout,
      observed: Observed,
      answers: BalancerAnswers,
    ): Pick<RouterView, "verification" | "status">;
  };
}

/** An object, there or not. */
export interface ObjectName {
  readonly type: ResourceType;
  readonly namespace: string;
  readonly name: string;
}

/** The objects of `reads` that exist, in any order; others do no harm. */
export type Observed = readonly KubeObject[];

/** One write. Idempotent: its outcome is a whole value, and an object that has changed since is refused by its resourceVersion. */
export type Patch = {
  readonly name: ObjectName;
  /** Told on the Rollout once it is done. */
  readonly event: { readonly reason: string; readonly message: string };
} & (
  | { readonly verb: "create"; readonly object: KubeObject }
  /** A JSON merge patch with the preconditions in its metadata. */
  | { readonly verb: "patch"; readonly body: Readonly<Record<string, unknown>> }
);

/** What several objects hold together: a refusal of one is one of all. */
export function together(states: readonly RouterState[]): RouterState {
  const refused = states.find(({ kind }) => kind === "refused");
  const [first, ...others] = states;
  if (refused !== undefined || first === undefined) return refused ?? { kind: "nothing" };
  return others.every((state) => jsonEqual(state, first)) ? first : { kind: "nothing" };
}

/** The object of that name among the observed ones. */
export function find(observed: Observed, { type, namespace, name }: ObjectName): KubeObject | undefined {
  return observed.find(
    ({ kind, metadata }) => kind === type.kind && metadata.name === name && metadata.namespace === namespace,
  );
}
