// What a router is: pure functions from a Rollout, the intent decided for it and the objects that were observed, to the writes that bring
// those objects to the intent. Nothing here performs, waits or remembers: each pass renders against what it sees.
import type {
  FieldError,
  KubeObject,
  ResourceType,
  Rollout,
  RouterCapabilities,
  ServiceSplit,
  TrafficIntent,
} from "../api/api.ts";

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
  referenceErrors(rollout: Rollout, observed: Observed): readonly FieldError[];
  /** The writes that are left to do; rendering again what they lead to gives none. */
  render(rollout: Rollout, intent: TrafficIntent, observed: Observed): Rendering;
  /** The split that the objects hold; undefined when they hold none, or not all the same one. */
  observe(rollout: Rollout, observed: Observed): ServiceSplit | undefined;
}

/** An object, there or not. */
export interface ObjectName {
  readonly type: ResourceType;
  readonly namespace: string;
  readonly name: string;
}

/** The objects of `reads` that exist, in any order; others do no harm. */
export type Observed = readonly KubeObject[];

export interface Rendering {
  readonly patches: readonly Patch[];
  /** Why the router cannot be carried out as it stands: somebody has to act. */
  readonly trouble?: string;
}

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

/** The object of that name among the observed ones. */
export function find(observed: Observed, { type, namespace, name }: ObjectName): KubeObject | undefined {
  return observed.find(
    ({ kind, metadata }) => kind === type.kind && metadata.name === name && metadata.namespace === namespace,
  );
}
