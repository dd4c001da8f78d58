// Kubernetes quantities ("100m", "1.5Gi", "1e3") in the spelling that Go writes. Source: apimachinery pkg/api/resource, v0.34,
// with its habit of leaving some spellings as they came ("1.500", "+5"), because hashes of pod templates depend on it.

/** Digits before the point, digits after it, and what the suffix means. */
interface Parts {
  readonly isNegative: boolean;
  readonly whole: string;
  readonly fraction: string;
  readonly suffix: Suffix;
}

type Suffix =
  | { readonly kind: "decimal"; readonly exponent: number }
  | { readonly kind: "exponent"; readonly exponent: number }
  | { readonly kind: "binary"; readonly exponent: number };

/** units * 10^-scale, never negative. */
interface Amount {
  readonly units: bigint;
  readonly scale: number;
}

const DECIMAL: ReadonlyMap<string, number> = new Map([
  ["n", -9],
  ["u", -6],
  ["m", -3],
  ["", 0],
  ["k", 3],
  ["M", 6],
  ["G", 9],
  ["T", 12],
  ["P", 15],
  ["E", 18],
]);
const BINARY: ReadonlyMap<string, number> = new Map(
  ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].map((suffix, index) => [suffix, (index + 1) * 10]),
);
const MAX_INT64 = 2n ** 63n - 1n;
/** Decimal digits that an int64 is sure to hold. */
const INT64_DIGITS = 18;
/** Larger exponents are no quantity here: a text of ten letters must not become a number of a billion digits. */
const MAX_EXPONENT = 1000;
/** The finest scale: smaller amounts are rounded up to it. */
const NANO = 9;
const MILLI = 3;

/** Go's spelling of a quantity, or undefined when it is none. */
export function canonicalQuantity(text: string): string | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const parts = parse(trimmed);
  if (parts === undefined) return undefined;
  const quick = quickAmount(parts);
  if (quick !== undefined) {
    return keepsSpelling(parts) ? trimmed : write(parts, quick, parts.suffix);
  }
  const exact = exactAmount(parts);
  const isFraction = exact.units < 10n ** BigInt(exact.scale);
  const isBelowOne = parts.suffix.kind === "binary" && isFraction && exact.units > 0n;
  return write(parts, exact, isBelowOne ? { kind: "decimal", exponent: 0 } : parts.suffix);
}

/** As `canonicalQuantity`, with nothing finer than a thousandth: what the API server makes of the amounts of a list of resources. */
export function milliQuantity(text: string): string | undefined {
  const parts = parse(text.trim());
  if (text.trim() === "" || parts === undefined) return undefined;
  const { units } = exactAmount(parts);
  const finest = 10n ** BigInt(NANO - MILLI);
  if (units % finest === 0n) return canonicalQuantity(text);
  return canonicalQuantity(`${parts.isNegative ? "-" : ""}${divideUp(units, finest)}m`);
}

/** The amount in billionths, for comparing: smaller fractions are rounded up. Undefined for a text that is no quantity. */
export function quantityNanos(text: string): bigint | undefined {
  const parts = parse(text.trim());
  if (parts === undefined || text.trim() === "") return undefined;
  const { units } = exactAmount(parts);
  return parts.isNegative ? -units : units;
}

function parse(text: string): Parts | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?((?:[eEinumkKMGTP]*)(?:[+-]?\d+)?)$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", digits = "", fraction = "", ending = ""] = match;
  const suffix = suffixOf(ending);
  if (suffix === undefined) return undefined;
  const whole = digits.replace(/^0+/, "");
  return { isNegative: sign === "-", whole: whole === "" ? "0" : whole, fraction, suffix };
}

function suffixOf(text: string): Suffix | undefined {
  const decimal = DECIMAL.get(text);
  if (decimal !== undefined) return { kind: "decimal", exponent: decimal };
  const binary = BINARY.get(text);
  if (binary !== undefined) return { kind: "binary", exponent: binary };
  const match = /^[eE]([+-]?\d+)$/.exec(text);
  if (match === null || Math.abs(Number(match[1])) > MAX_EXPONENT) return undefined;
  return { kind: "exponent", exponent: Number(match[1]) };
}

/** What fits an int64 without rounding; Go takes a short cut there, and may keep the text as it is. */
function quickAmount({ whole, fraction, suffix }: Parts): Amount | undefined {
  if (suffix.kind === "binary") {
    const digitsLeft = 15 - whole.length - Math.trunc((suffix.exponent * 3) / 10) - 1;
    if (fraction !== "" || digitsLeft < 0) return undefined;
    const units = BigInt(whole) << BigInt(suffix.exponent);
    return units > MAX_INT64 ? undefined : { units, scale: 0 };
  }
  const scale = fraction.length - suffix.exponent;
  if (whole.length + fraction.length > INT64_DIGITS || scale > NANO) return undefined;
  return { units: BigInt(whole + fraction), scale };
}

/** Go does not rewrite a text that is canonical at first sight. */
function keepsSpelling({ whole, fraction, suffix }: Parts): boolean {
  if (suffix.kind === "binary") return (BigInt(whole) & 7n) !== 0n;
  const digits = whole + fraction;
  return (suffix.exponent - fraction.length) % 3 === 0 && !digits.endsWith("000") && !digits.startsWith("0");
}

/** Any size; rounded up to nano units, binary amounts capped at the largest int64. */
function exactAmount({ whole, fraction, suffix }: Parts): Amount {
  let units = BigInt(whole + fraction);
  let scale = fraction.length;
  if (suffix.kind === "binary") units <<= BigInt(suffix.exponent);
  else scale -= suffix.exponent;
  if (scale < NANO) units *= 10n ** BigInt(NANO - scale);
  else units = divideUp(units, 10n ** BigInt(scale - NANO));
  scale = NANO;
  const cap = MAX_INT64 * 10n ** BigInt(NANO);
  return { units: suffix.kind === "binary" && units > cap ? cap : units, scale };
}

function write({ isNegative }: Parts, amount: Amount, suffix: Suffix): string {
  if (amount.units === 0n) return "0";
  const sign = isNegative ? "-" : "";
  const binary = suffix.kind === "binary" ? binaryText(amount) : undefined;
  return `${sign}${binary ?? decimalText(amount, suffix.kind === "exponent")}`;
}

/** Undefined for fractions and for amounts below 1024, which are written in decimal. */
function binaryText({ units, scale }: Amount): string | undefined {
  const one = 10n ** BigInt(Math.max(scale, 0));
  if (units % one !== 0n) return undefined;
  let value = units / one;
  if (value < 1024n) return undefined;
  let exponent = 0;
  while (value % 1024n === 0n) {
    value /= 1024n;
    exponent += 10;
  }
  return `${value}${keyOf(BINARY, exponent)}`;
}

/** The exponent is brought down to a multiple of 3. */
function decimalText({ units, scale }: Amount, isExponent: boolean): string {
  let value = units;
  let exponent = -scale;
  while (value % 10n === 0n) {
    value /= 10n;
    exponent += 1;
  }
  while (exponent % 3 !== 0) {
    value *= 10n;
    exponent -= 1;
  }
  if (isExponent) return exponent === 0 ? `${value}` : `${value}e${exponent}`;
  return `${value}${keyOf(DECIMAL, exponent)}`;
}

/** Empty where Go has no suffix of that size. */
function keyOf(suffixes: ReadonlyMap<string, number>, exponent: number): string {
  for (const [suffix, value] of suffixes) if (value === exponent) return suffix;
  return "";
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}
