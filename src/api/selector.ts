// Label selectors of objects (matchLabels, matchExpressions) and their text form. Source: apimachinery meta/v1 LabelSelectorAsSelector.
import type { LabelSelector } from "./shapes.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether `labels` fulfil every requirement. An empty selector matches everything; an unknown operator nothing. */
export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  if (!Object.entries(matchLabels).every(([key, value]) => labels[key] === value)) return false;
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return false;
    }
  });
}

/** The text of a selector as metav1.FormatLabelSelector gives it: `app=web,tier notin (a,b)`, sorted by key. */
export function selectorText(selector: LabelSelector): string {
  const equal = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    text: `${key}=${value}`,
  }));
  const others = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    const list = `(${[...values].sort().join(",")})`;
    if (operator === "In") return { key, text: `${key} in ${list}` };
    if (operator === "NotIn") return { key, text: `${key} notin ${list}` };
    return { key, text: operator === "Exists" ? key : `!${key}` };
  });
  const all = [...equal, ...others].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return all.length === 0 ? "<none>" : all.map(({ text }) => text).join(",");
}
