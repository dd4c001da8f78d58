// What a proxy of several processes needs of its workers. The one who has them is supervisor.ts.

import type { XdsUpdate } from "../../xds/client.ts";
import type { Bootstrap } from "../../xds/types.ts";
import type { Configuration } from "../configuration.ts";
import type { Core, Limits } from "../core.ts";
import type { Seat } from "../seat.ts";

/** The proxy that the workers are part of. */
export interface Trunk {
  readonly core: Core;
  /** In the supervisor: it holds what is in force, but opens nothing. */
  readonly configuration: Configuration;
  readonly staticResources: Bootstrap;
  readonly isDynamic: boolean;
  readonly limits: Partial<Limits>;
}

/** All workers of a proxy. */
export interface Tree {
  /** The supervisor's place. */
  readonly seat: Seat;
  /** Starts them; resolves when static resources are in force in all. Rejects as their configuration would, with none left. */
  start(trunk: Trunk): Promise<void>;
  /** Brings a configuration in force in all that live, or rejects, and then it is in none. */
  configure(update: XdsUpdate): Promise<void>;
  /** Empty when there is one that serves. */
  readonly unready: string;
  /** Brings the counts up to date, as far as workers answer. */
  refresh(): Promise<void>;
  reopenLogs(): void;
  /** All drain. `isEnd`: and end; resolves when they have. */
  drain(isEnd: boolean): Promise<void>;
  hurry(): void;
  /** Ends those that are left. */
  close(): void;
}
