// What /version says: the Kubernetes version whose API this server speaks, marked as weir's.

/** Kubernetes minor version that clients compare themselves with. Every field is there: clients made from the OpenAPI schema require all. */
export function versionInfo(): Readonly<Record<string, string>> {
  return {
    major: "1",
    minor: "36",
    gitVersion: "v1.36.0+weir",
    gitCommit: "",
    gitTreeState: "clean",
    // Of the sources nothing is known, so it is what Kubernetes has where nothing is: the epoch.
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "",
    compiler: `node ${process.version}`,
    platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}
