// The cache of one kind: objects by key, with indexes by namespace, owner and label value. What it hands out is frozen in depth
// and shared. Only its reflector writes to it; every change comes back as the event that listeners get.
import { type KubeObject, keyOf } from "../api/api.ts";
import { deepFreeze } from "../lib/json.ts";

export type StoreEvent =
  | { readonly kind: "added"; readonly key: string; readonly object: KubeObject }
  | { readonly kind: "updated"; readonly key: string; readonly object: KubeObject; readonly old: KubeObject }
  /** `object` is the last state known; its very last one when `isFinal`, otherwise the deletion was found by listing again. */
  | {
      readonly kind: "deleted";
      readonly key: string;
      readonly object: KubeObject;
      readonly isFinal: boolean;
    };

/** Must not throw for long: it is called in the watch's turn. A throw is logged and does not stop the others. */
export type StoreListener = (event: StoreEvent) => void;

/** What readers see. Lists come in no particular order. */
export interface ObjectStore {
  /** `namespace/name`, or `name` for cluster-scoped kinds. */
  get(key: string): KubeObject | undefined;
  /** All, or those of one namespace. */
  list(namespace?: string): readonly KubeObject[];
  /** Objects with an owner reference (controller or not) to that uid. */
  byOwner(uid: string): readonly KubeObject[];
  /** Objects whose label `label` has that value, in all namespaces or one. The index of a label is built at its first use and kept. */
  byLabel(label: string, value: string, namespace?: string): readonly KubeObject[];
  keys(): readonly string[];
  readonly size: number;
}

/** The store and its writing side. */
export interface WritableStore extends ObjectStore {
  /** Undefined when the same resourceVersion is there already. */
  put(object: KubeObject): StoreEvent | undefined;
  remove(object: KubeObject): StoreEvent | undefined;
  /** Makes the content equal to `objects`, but for the keys in `kept`: what is missing there was deleted unseen. */
  replace(objects: readonly KubeObject[], kept?: ReadonlySet<string>): readonly StoreEvent[];
}

type Index = Map<string, Map<string, KubeObject>>;

/** An empty store. */
export function createStore(): WritableStore {
  const objects = new Map<string, KubeObject>();
  const byNamespace: Index = new Map();
  const byOwner: Index = new Map();
  const byLabel = new Map<string, Index>();

  const eachIndex = (object: KubeObject, visit: (index: Index, value: string) => void): void => {
    visit(byNamespace, object.metadata.namespace ?? "");
    for (const owner of object.metadata.ownerReferences ?? []) visit(byOwner, owner.uid);
    for (const [label, index] of byLabel) {
      const value = object.metadata.labels?.[label];
      if (value !== undefined) visit(index, value);
    }
  };
  const unlink = (key: string, object: KubeObject): void =>
    eachIndex(object, (index, value) => {
      const bucket = index.get(value);
      bucket?.delete(key);
      if (bucket?.size === 0) index.delete(value);
    });
  const link = (key: string, object: KubeObject): void =>
    eachIndex(object, (index, value) => bucketOf(index, value).set(key, object));

  const put = (object: KubeObject): StoreEvent | undefined => {
    const key = keyOf(object);
    const old = objects.get(key);
    if (old !== undefined && isSameVersion(old, object)) return undefined;
    const frozen = deepFreeze(object);
    if (old !== undefined) unlink(key, old);
    objects.set(key, frozen);
    link(key, frozen);
    return old === undefined
      ? { kind: "added", key, object: frozen }
      : { kind: "updated", key, object: frozen, old };
  };
  const take = (key: string, last: KubeObject | undefined): StoreEvent | undefined => {
    const old = objects.get(key);
    if (old === undefined) return undefined;
    objects.delete(key);
    unlink(key, old);
    return { kind: "deleted", key, object: deepFreeze(last ?? old), isFinal: last !== undefined };
  };

  return {
    get: (key) => objects.get(key),
    list: (namespace) => [
      ...(namespace === undefined ? objects : (byNamespace.get(namespace) ?? EMPTY)).values(),
    ],
    byOwner: (uid) => [...(byOwner.get(uid) ?? EMPTY).values()],
    byLabel(label, value, namespace) {
      let index = byLabel.get(label);
      if (index === undefined) {
        index = new Map();
        byLabel.set(label, index);
        for (const [key, object] of objects) {
          const own = object.metadata.labels?.[label];
          if (own !== undefined) bucketOf(index, own).set(key, object);
        }
      }
      const found = [...(index.get(value) ?? EMPTY).values()];
      return namespace === undefined
        ? found
        : found.filter((object) => object.metadata.namespace === namespace);
    },
    keys: () => [...objects.keys()],
    get size() {
      return objects.size;
    },
    put,
    remove: (object) => take(keyOf(object), object),
    replace(listed, kept = NONE) {
      const present = new Set(listed.map(keyOf));
      const gone = [...objects.keys()]
        .filter((key) => !present.has(key) && !kept.has(key))
        .map((key) => take(key, undefined));
      return [...gone, ...listed.map(put)].filter((event) => event !== undefined);
    },
  };
}

const NONE: ReadonlySet<string> = new Set();
const EMPTY: ReadonlyMap<string, KubeObject> = new Map();

function bucketOf(index: Index, value: string): Map<string, KubeObject> {
  let bucket = index.get(value);
  if (bucket === undefined) {
    bucket = new Map();
    index.set(value, bucket);
  }
  return bucket;
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  const version = a.metadata.resourceVersion;
  return version !== undefined && version === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid;
}
