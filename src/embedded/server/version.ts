// What /version says: the Kubernetes version whose API this server speaks, marked as weir's.

/** Kubernetes minor version that clients compare themselves with. */
export function versionInfo(): Readonly<Record<string, string>> {
  return {
    major: "1",
    minor: "36",
    gitVersion: "v1.36.0+weir",
    gitTreeState: "clean",
    platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
    compiler: `node ${process.version}`,
  };
}
