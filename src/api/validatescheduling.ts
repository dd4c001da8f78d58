// Kubernetes' rules for where pods may run: tolerations, node selectors, affinity to pods, spread. Source: kubernetes
// pkg/apis/core/validation, v1.34.
import type { Path } from "./decode.ts";
import { type FieldError, invalid, quoted, required } from "./fielderror.ts";
import { labelValueFaults, qualifiedNameFaults } from "./names.ts";
import { itemsOf, type Json, numberOf, objectOf, oneOf, textErrors, textOf } from "./podrule.ts";

const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";
const NOT_EMPTY = "can not be empty";

/** What is wrong with labels, or a map that is held like them. */
export function labelErrors(labels: unknown, path: Path): readonly FieldError[] {
  return Object.entries(objectOf(labels) ?? {}).flatMap(([key, value]) => [
    ...textErrors(path, key, qualifiedNameFaults(key)),
    ...textErrors(path, textOf(value), labelValueFaults(textOf(value))),
  ]);
}

/** What is wrong with the tolerations of a pod. */
export function tolerationErrors(tolerations: unknown, path: Path): readonly FieldError[] {
  return itemsOf(tolerations, path).flatMap(([toleration, at]) => {
    const { key, operator, value, effect, tolerationSeconds } = toleration;
    const kind = textOf(operator);
    const errors: FieldError[] = [];
    if (textOf(key) !== "")
      errors.push(...textErrors([...at, "key"], textOf(key), qualifiedNameFaults(textOf(key))));
    else if (kind !== "Exists") {
      const words =
        'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalid([...at, "operator"], quoted(kind), words));
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      const words = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      errors.push(invalid([...at, "effect"], quoted(textOf(effect)), words));
    }
    if (kind === "" || kind === "Equal")
      errors.push(...textErrors([...at, "operator"], textOf(value), labelValueFaults(textOf(value))));
    else if (kind === "Exists" && textOf(value) !== "") {
      const words = "value must be empty when `operator` is 'Exists'";
      errors.push(invalid([...at, "operator"], quoted(textOf(value)), words));
    }
    errors.push(...oneOf([...at, "operator"], kind, ["Equal", "Exists"]));
    errors.push(...oneOf([...at, "effect"], effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"]));
    return errors;
  });
}

/** What is wrong with the affinity of a pod to other pods. */
export function podAffinityErrors(affinity: unknown, path: Path): readonly FieldError[] {
  const it = objectOf(affinity) ?? {};
  return ["podAffinity", "podAntiAffinity"].flatMap((field) => {
    const terms = objectOf(it[field]) ?? {};
    return [
      ...itemsOf(terms[REQUIRED], [...path, field, REQUIRED]).flatMap(([term, at]) => termErrors(term, at)),
      ...itemsOf(terms[PREFERRED], [...path, field, PREFERRED]).flatMap(([item, at]) => {
        const weight = numberOf(item.weight) ?? 0;
        const words = "must be in the range 1-100";
        return [
          ...(weight < 1 || weight > 100 ? [invalid([...at, "weight"], String(weight), words)] : []),
          ...termErrors(objectOf(item.podAffinityTerm) ?? {}, [...at, "podAffinityTerm"]),
        ];
      }),
    ];
  });
}

function termErrors(term: Json, path: Path): readonly FieldError[] {
  const key = textOf(term.topologyKey);
  const at = [...path, "topologyKey"];
  return [...(key === "" ? [required(at, NOT_EMPTY)] : []), ...textErrors(at, key, qualifiedNameFaults(key))];
}

/** What is wrong with the topology spread constraints of a pod. */
export function spreadErrors(constraints: unknown, path: Path): readonly FieldError[] {
  const all = itemsOf(constraints, path);
  const pairOf = ({ topologyKey, whenUnsatisfiable }: Json): string =>
    `{${textOf(topologyKey)}, ${textOf(whenUnsatisfiable)}}`;
  return all.flatMap(([constraint, at], index) => {
    const skew = numberOf(constraint.maxSkew) ?? 0;
    const key = textOf(constraint.topologyKey);
    const action = textOf(constraint.whenUnsatisfiable);
    const pair = pairOf(constraint);
    const errors: FieldError[] = [];
    if (skew <= 0) errors.push(invalid([...at, "maxSkew"], String(skew), "must be greater than zero"));
    if (key === "") errors.push(required([...at, "topologyKey"], NOT_EMPTY));
    const allowed = ["DoNotSchedule", "ScheduleAnyway"];
    errors.push(...oneOf([...at, "whenUnsatisfiable"], action, allowed));
    if (all.slice(index + 1).some(([later]) => pairOf(later) === pair))
      errors.push({
        ...required(at),
        type: "Duplicate value",
        field: `${required(at).field}.{topologyKey, whenUnsatisfiable}`,
        value: quoted(pair),
      });
    return errors;
  });
}
