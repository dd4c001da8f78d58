// The CLI in process, against an embedded server of its own.
import { join } from "node:path";
import type { Test } from "tap";
import { main } from "../../src/cli/main.ts";
import { type Api, startServer, temporaryFolder } from "../embedded/server-support.ts";

export interface Ran {
  readonly code: number;
  /** Standard output. */
  readonly out: string;
  readonly err: string;
}

export interface OnServer {
  readonly api: Api;
  weir(...args: readonly string[]): Promise<Ran>;
}

/** Starts the server; `weir` runs commands that find it by their kubeconfig. */
export async function cliOnServer(t: Test): Promise<OnServer> {
  const { server, api } = await startServer(t);
  const kubeconfig = join(temporaryFolder(t), "kubeconfig");
  server.writeKubeconfig(kubeconfig, await server.listen());
  return {
    api,
    async weir(...args) {
      const out: string[] = [];
      const err: string[] = [];
      const code = await main(args, {
        out: (line) => void out.push(line),
        err: (line) => void err.push(line),
        write: (text) => void out.push(text),
        env: { KUBECONFIG: kubeconfig },
        signal: AbortSignal.timeout(30_000),
      });
      return { code, out: out.join("\n"), err: err.join("\n") };
    },
  };
}
