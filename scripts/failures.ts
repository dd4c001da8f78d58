// What failed in a stream of TAP lines, told again at its end: a run prints a hundred thousand lines, and whoever reads only the last
// page of it (a CI log) has to learn there what is wrong.

const MOST_TOLD = 20;
const MOST_LINES_EACH = 16;

/** Reads TAP lines as `tap run --reporter=tap` prints them and keeps the failed ones with the names of the tests around them. */
export class Failures {
  readonly #told: string[][] = [];
  /** The name of the test that is open at each depth. */
  readonly #open: string[] = [];
  /** How many failures there were when the test at each depth began. */
  readonly #before: number[] = [];
  #count = 0;
  #isInDetails = false;

  add(line: string): void {
    const [, indent = "", kind, name = ""] =
      /^((?: {4})*)(# Subtest:|not ok \d+ -?|ok \d+ -?) ?(.*)$/.exec(line) ?? [];
    const depth = indent.length / 4;
    if (kind === undefined) this.#addDetail(line);
    else this.#isInDetails = false;
    if (kind === "# Subtest:") {
      this.#open.length = this.#before.length = depth;
      this.#open[depth] = name;
      this.#before[depth] = this.#count;
    } else if (kind?.startsWith("not ok") && !/ # (TODO|SKIP)/i.test(name)) this.#fail(depth, name);
  }

  /** The failures, ready to print; empty when there were none. */
  lines(): string[] {
    if (this.#count === 0) return [];
    const left = this.#count - this.#told.length;
    return ["# What failed:", ...this.#told.flat(), ...(left > 0 ? [`#   and ${left} more`] : [])];
  }

  #fail(depth: number, name: string): void {
    const own = this.#open[depth];
    // A test that failed only because something inside it did adds nothing.
    const isEndOfTest = own !== undefined && name.startsWith(own);
    if (isEndOfTest && this.#count > (this.#before[depth] ?? 0)) return;
    this.#count += 1;
    this.#isInDetails = this.#told.length < MOST_TOLD;
    if (this.#isInDetails) this.#told.push([`# ${[...this.#open.slice(0, depth), name].join(" > ")}`]);
  }

  #addDetail(line: string): void {
    const last = this.#told.at(-1);
    if (!this.#isInDetails || last === undefined || last.length > MOST_LINES_EACH) return;
    if (line.trim() === "...") this.#isInDetails = false;
    else last.push(`#   ${line.trimEnd()}`);
  }
}
