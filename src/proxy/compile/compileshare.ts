// RuntimeFractionalPercent → share of requests. Pure. There is no runtime whose keys could set another value (a bootstrap
// that brings one is refused), so that `runtime_key` means what it means in an Envoy without: the default value is in force.
import { FractionalPercent_DenominatorType, type RuntimeFractionalPercent } from "../../xds/types.ts";
import { WHOLE } from "../route/table.ts";
import type { Problems } from "./problems.ts";

/** Of `shareOf` requests, `share`. */
interface Share {
  readonly share: number;
  readonly shareOf: number;
}

const ALL: Share = { share: WHOLE, shareOf: WHOLE };
const NONE: Share = { share: 0, shareOf: WHOLE };

/** Reads a fraction; all requests where there is none. */
export function compileShare(
  message: RuntimeFractionalPercent | undefined,
  at: string,
  problems: Problems,
): Share {
  if (message === undefined) return ALL;
  const path = `${at}.default_value`;
  const fraction = message.defaultValue;
  if (fraction === undefined) {
    problems.add(path, "is missing");
    return NONE;
  }
  // The enum is open: any number may arrive.
  const parts = PARTS[fraction.denominator];
  if (parts === undefined) {
    problems.add(`${path}.denominator`, `is ${fraction.denominator}, which stands for no number`);
    return NONE;
  }
  if (fraction.numerator > parts) problems.add(path, `is more than all: ${fraction.numerator}/${parts}`);
  return { share: fraction.numerator, shareOf: parts };
}

const PARTS: Readonly<Partial<Record<FractionalPercent_DenominatorType, number>>> = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: WHOLE,
};
