// Which annotations of a shared Ingress are whose: a map from Rollout to keys, kept in an annotation of its own. Old versions of Argo kept
// one key a Rollout under another name; what that says of a Rollout moves over with its next write.
// Source: Argo: utils/ingress/ingress.go ManagedALBAnnotations, v1.9.
import { isObject, parseJson } from "../lib/json.ts";

const BOOK = "rollouts.argoproj.io/managed-alb-annotations";
const LEGACY = "rollouts.argoproj.io/managed-alb-actions";

type Annotations = Readonly<Record<string, string>>;
type Book = Readonly<Record<string, readonly string[]>>;

/** The keys that are the Rollout's; undefined when the book cannot be read. */
export function keysOf(annotations: Annotations, rollout: string): readonly string[] | undefined {
  const book = readBook(annotations[BOOK]);
  const legacy = readLegacy(annotations[LEGACY])[rollout];
  return book === undefined
    ? undefined
    : [...(book[rollout] ?? []), ...(legacy === undefined ? [] : [legacy])];
}

/** The annotations with these keys booked for the Rollout. The book must be readable. */
export function withKeys(annotations: Annotations, rollout: string, keys: readonly string[]): Annotations {
  const { [LEGACY]: legacy, ...others } = annotations;
  const book = { ...readBook(annotations[BOOK]), [rollout]: keys };
  // Go writes the keys of a map in order.
  const sorted = Object.fromEntries(Object.entries(book).sort(([a], [b]) => (a < b ? -1 : 1)));
  const { [rollout]: _moved, ...left } = readLegacy(legacy);
  const rest = Object.entries(left).map((pair) => pair.join(":"));
  return {
    ...others,
    [BOOK]: JSON.stringify(sorted),
    ...(rest.length === 0 ? {} : { [LEGACY]: rest.join(",") }),
  };
}

function readBook(text = ""): Book | undefined {
  if (text === "") return {};
  const book = parseJson(text);
  if (!isObject(book)) return undefined;
  const entries = Object.entries(book).map(([rollout, keys]) => [
    rollout,
    Array.isArray(keys) ? keys.map(String) : [],
  ]);
  return Object.fromEntries(entries);
}

/** `rollout:key,rollout:key`. */
function readLegacy(text = ""): Readonly<Record<string, string>> {
  const pairs = text.split(",").map((pair) => pair.split(":"));
  return Object.fromEntries(
    pairs.flatMap(([rollout = "", key = ""]) => (key === "" ? [] : [[rollout, key]])),
  );
}
