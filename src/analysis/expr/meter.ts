// What one evaluation may cost. The reference bounds only the elements that some operations make; its own loops, comparisons in
// depth, texts and regular expressions are unbounded there, so weir counts them too: no condition can hold the controller.
import { fail } from "./error.ts";

/** Bound of weir's own: steps of one evaluation (about a second). A step is a node visited or an element looked at. */
export const MAX_STEPS = 5_000_000;
/** The reference's bound: elements of lists, ranges and maps made in one evaluation. */
export const MEMORY_BUDGET = 1_000_000;
/** Characters of a text that cost one step: copying and searching are much cheaper than visiting a node. */
const CHARS_PER_STEP = 8;

/** The account of one evaluation. */
export class Meter {
  #steps = 0;
  #memory = 0;

  /** Counts work done or about to be done; throws ConditionError beyond the bound. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) fail(`condition needs more than ${MAX_STEPS} evaluation steps`);
  }

  /** Counts text that is made, searched or compared. */
  spendText(chars: number): void {
    this.spend(Math.ceil(chars / CHARS_PER_STEP));
  }

  /** Counts elements against the reference's memory budget. */
  grow(elements: number): void {
    this.#memory += elements;
    if (this.#memory >= MEMORY_BUDGET) fail("memory budget exceeded");
  }
}
