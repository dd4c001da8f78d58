// The language of scenario scripts: src/simulate/script.ts.
export { runScript } from "../../src/simulate/script.ts";
