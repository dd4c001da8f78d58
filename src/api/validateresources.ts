// Kubernetes' rules for requests and limits of containers. Source: kubernetes pkg/apis/core/validation validateResourceRequirements, v1.34.
import { canonicalQuantity } from "../lib/quantity.ts";
import { formatPath, type Path } from "./decode.ts";
import { type FieldError, forbidden, invalid, quoted, required } from "./fielderror.ts";
import { qualifiedNameFaults } from "./names.ts";
import { type Json, objectOf, quantityOf } from "./podrule.ts";

const STANDARD = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES = "hugepages-";
const NANOS = 1_000_000_000n;

/** What is wrong with `resources`. A text that is no quantity is not judged here: Argo reads over it, lint reports its type. */
export function resourceErrors(resources: unknown, path: Path): readonly FieldError[] {
  const it = objectOf(resources) ?? {};
  const limits = objectOf(it.limits) ?? {};
  const requests = objectOf(it.requests) ?? {};
  const errors = [
    ...Object.keys(limits).flatMap((name) =>
      keyed(amountErrors(name, limits, [...path, "limits", name]), [...path, "limits"], name),
    ),
    ...Object.keys(requests).flatMap((name) => [
      ...keyed(amountErrors(name, requests, [...path, "requests", name]), [...path, "requests"], name),
      ...overLimit(name, requests, limits, path),
    ]),
  ];
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (
    names.some((name) => name.startsWith(HUGE_PAGES)) &&
    !names.includes("cpu") &&
    !names.includes("memory")
  )
    errors.push(forbidden(path, "HugePages require cpu or memory"));
  return errors;
}

/** Kubernetes writes resources as keys: `limits[cpu]`. */
function keyed(errors: readonly FieldError[], list: Path, name: string): readonly FieldError[] {
  return errors.map((error) => ({ ...error, field: `${formatPath(list)}[${name}]` }));
}

function amountErrors(name: string, amounts: Json, path: Path): readonly FieldError[] {
  const amount = quantityOf(amounts[name]);
  const errors = nameErrors(name, path);
  if (amount === undefined) return errors;
  if (amount < 0n)
    errors.push(invalid(path, quoted(shown(amounts[name])), "must be greater than or equal to 0"));
  else if (isExtended(name) && amount % NANOS !== 0n)
    errors.push(invalid(path, quoted(shown(amounts[name])), "must be an integer"));
  return errors;
}

function nameErrors(name: string, path: Path): FieldError[] {
  const errors = qualifiedNameFaults(name).map((words) => invalid(path, quoted(name), words));
  const isBare = !name.includes("/");
  const isKnown = STANDARD.includes(name) || name.startsWith(HUGE_PAGES);
  if (isBare && !isKnown)
    errors.push(
      ...(errors.length > 0
        ? []
        : [invalid(path, quoted(name), "must be a standard resource type or fully qualified")]),
      invalid(path, quoted(name), "must be a standard resource for containers"),
    );
  const isQualified = errors.length === 0 && !name.startsWith("requests.");
  if (!isBare && !name.includes("kubernetes.io/") && !isQualified)
    errors.push(invalid(path, quoted(name), "doesn't follow extended resource name standard"));
  return errors;
}

function overLimit(name: string, requests: Json, limits: Json, path: Path): readonly FieldError[] {
  const request = quantityOf(requests[name]);
  if (request === undefined) return [];
  const isFixed = isExtended(name) || name.startsWith(HUGE_PAGES);
  if (limits[name] === undefined) {
    const words = "Limit must be set for non overcommitable resources";
    return isFixed ? [required([...path, "limits"], words)] : [];
  }
  const limit = quantityOf(limits[name]);
  if (limit === undefined || request === limit || (!isFixed && request < limit)) return [];
  const bound = isFixed ? "equal to" : "less than or equal to";
  const words = `must be ${bound} ${name} limit of ${shown(limits[name])}`;
  return [invalid([...path, "requests"], quoted(shown(requests[name])), words)];
}

/** A resource that a device plugin offers: it cannot be shared out twice, and only whole. */
function isExtended(name: string): boolean {
  return name.includes("/") && !name.includes("kubernetes.io/");
}

function shown(value: unknown): string {
  return canonicalQuantity(String(value)) ?? String(value);
}
