// Numbers that may be written as percentages. Source of the rounding: apimachinery util/intstr; of bare digits: Argo, which reads "25" as 25%.

export type IntOrString = number | string;

/** `value` of `total`: a number as it is, `"25%"` (and Argo's `"25"`) as a share; undefined when it is neither. */
export function scaledValue(value: IntOrString, total: number, rounding: "up" | "down"): number | undefined {
  if (typeof value === "number") return value;
  const match = /^(-?\d+)%?$/.exec(value);
  if (match === null) return undefined;
  const share = (Number(match[1]) * total) / 100;
  return rounding === "up" ? Math.ceil(share) : Math.floor(share);
}

/** The number that Go's IntOrString.IntValue gives: digits in a string count, anything else is 0. */
export function intValue(value: IntOrString): number {
  if (typeof value === "number") return value;
  return /^[+-]?\d+$/.test(value) ? Number(value) : 0;
}
