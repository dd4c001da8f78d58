// The door of simulate/: the model of a cluster around one Rollout, and scripts that are run in it.
export { DEFAULT_NAMESPACE, namespaceOf, worldOfFiles } from "./files.ts";
