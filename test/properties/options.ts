// How many runs the property tests make, and from which seed: `npm run test:properties -- --runs 100000 --seed 7`, or `WEIR_PROPERTY_RUNS` and
// `WEIR_PROPERTY_SEED`. A failing history is printed shrunk, with its seed.
const RUNS = 500;

/** For properties of whole histories. */
export const HISTORY_OPTIONS = {
  numRuns: Number(process.env.WEIR_PROPERTY_RUNS ?? RUNS),
  seed: Number(process.env.WEIR_PROPERTY_SEED ?? 20260101),
};
