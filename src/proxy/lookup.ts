// How a host name becomes addresses: as every program of the machine does it, by hosts file, DNS servers and search list.

/** Which addresses are asked for: 0: those of both versions. */
export type Version = 0 | 4 | 6;

/** Looks a name up. Rejects when that fails, or there is no such name: glibc does not always tell one from the other. */
export type LookUp = (host: string, version: Version) => Promise<readonly string[]>;

/** See the head of this file. Holds one of the process's few threads until it is over. */
export const machineLookUp: LookUp = async (host, family) => {
  // Loaded by those that need it: it takes almost a MiB.
  const { lookup } = (await import("node:dns")).promises;
  const found = await lookup(host, { all: true, family, order: "verbatim" });
  return found.map(({ address }) => address);
};
