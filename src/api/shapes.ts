// Building blocks of the schemas: open objects, Kubernetes' scalar conventions, metadata and label selectors.
// Every schema is open: fields that it does not name stay in the parsed value, only the type hides them.
import { z } from "zod";

/** The type of a parsed value: readonly in depth, optional fields without an explicit `undefined`. */
export type Parsed<S extends z.ZodType> = DeepReadonly<z.output<S>>;

/** Readonly in depth; `undefined` leaves the value types, so that the result fits `exactOptionalPropertyTypes`. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<Exclude<T[Key], undefined>> }
    : T;

/** An object that keeps what the shape does not name. */
export function open<Shape extends z.core.$ZodLooseShape>(shape: Shape): z.ZodObject<Shape, z.core.$strip> {
  // Only the type changes: without the index signature of a loose object, a misspelt field is an error in our own code.
  return z.looseObject(shape) as unknown as z.ZodObject<Shape, z.core.$strip>;
}

/** Any JSON, carried as it is. */
export const anyJson = z.unknown();
/** An object whose inside weir does not read. */
export const opaque = z.record(z.string(), z.unknown());
export const int32 = z.int32();
export const int64 = z.int();
export const strings = z.array(z.string());
export const stringMap = z.record(z.string(), z.string());
/** A number, or a percentage or template in a string. */
export const intOrString = z.union([z.int(), z.string()]);
/** RFC 3339, as metav1.Time and metav1.MicroTime write it. */
export const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
export const time = z.string().regex(TIME_PATTERN, "is not an RFC 3339 time").meta({ format: "date-time" });
/** A Go duration such as `30s`; checked where it is used, because arguments may stand in it. */
export const durationText = z.string();

const ownerReference = open({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
});

/** Metadata of an object of its own. */
export const objectMeta = open({
  name: z.string(),
  generateName: z.string().optional(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: int64.optional(),
  creationTimestamp: time.optional(),
  deletionTimestamp: time.optional(),
  deletionGracePeriodSeconds: int64.optional(),
  labels: stringMap.optional(),
  annotations: stringMap.optional(),
  ownerReferences: z.array(ownerReference).optional(),
  finalizers: strings.optional(),
  managedFields: z.array(opaque).optional(),
  selfLink: z.string().optional(),
});

/** Labels and annotations that are put on something else. */
export const metadataPatch = open({ labels: stringMap.optional(), annotations: stringMap.optional() });

const labelRequirement = open({
  key: z.string(),
  /** `In`, `NotIn`, `Exists` or `DoesNotExist`. */
  operator: z.string(),
  values: strings.optional(),
});

export const labelSelector = open({
  matchLabels: stringMap.optional(),
  matchExpressions: z.array(labelRequirement).optional(),
});
export type LabelSelector = Parsed<typeof labelSelector>;

/** A schema of a whole object: its own fields beside apiVersion, kind and metadata. */
export function kindOf<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return open({ apiVersion: z.string(), kind: z.string(), metadata: objectMeta, ...shape });
}
