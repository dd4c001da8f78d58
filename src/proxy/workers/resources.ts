// Configurations between processes: each resource goes over once, under a number, and configurations name numbers. What did not change stays the
// same object on the other side, so that it is not compiled again there either.
import type { XdsUpdate } from "../../xds/client.ts";
import {
  decodeResource,
  encodeResource,
  RESOURCE_KINDS,
  type ResourceKind,
  type XdsSnapshot,
} from "../../xds/types.ts";
import { MAX_RESOURCE_BYTES, type NumberedResource, type Order } from "./messages.ts";

type Resource = XdsSnapshot[ResourceKind][number];
type Ids = Readonly<Record<ResourceKind, Float64Array>>;

/** Numbers of resources, the same for all workers. */
export class Numbering {
  readonly #ids = new WeakMap<Resource, number>();
  #next = 0;

  idOf(resource: Resource): number {
    const known = this.#ids.get(resource);
    if (known !== undefined) return known;
    const id = this.#next++;
    this.#ids.set(resource, id);
    return id;
  }
}

/** What one worker has been sent. */
export class Sender {
  readonly #numbering: Numbering;
  #sent: ReadonlySet<number> = new Set();

  constructor(numbering: Numbering) {
    this.#numbering = numbering;
  }

  /** What to send so that the worker has this configuration, the order itself last. */
  orders(update: XdsUpdate, seq: number): readonly Order[] {
    const orders: Order[] = [];
    const present = new Set<number>();
    let batch: NumberedResource[] = [];
    let batchBytes = 0;
    const flush = (): void => {
      if (batch.length > 0) orders.push({ kind: "resources", resources: batch });
      batch = [];
      batchBytes = 0;
    };
    const idsOf = (kind: ResourceKind): Float64Array =>
      Float64Array.from(update[kind], (resource: Resource) => {
        const id = this.#numbering.idOf(resource);
        present.add(id);
        if (this.#sent.has(id)) return id;
        const bytes = encodeResource(kind, resource);
        if (batchBytes + bytes.length > MAX_RESOURCE_BYTES) flush();
        batch.push({ id, kind, bytes });
        batchBytes += bytes.length;
        return id;
      });
    const ids: Ids = {
      clusters: idsOf("clusters"),
      endpoints: idsOf("endpoints"),
      listeners: idsOf("listeners"),
      routes: idsOf("routes"),
    };
    flush();
    this.#sent = present;
    return [...orders, { kind: "configure", seq, changed: update.changed, versions: update.versions, ids }];
  }
}

/** What one worker has. */
export class Receiver {
  #resources = new Map<number, Resource>();

  take(resources: readonly NumberedResource[]): void {
    for (const { id, kind, bytes } of resources) this.#resources.set(id, decodeResource(kind, bytes));
  }

  /** The configuration of an order. What it does not name is forgotten. */
  assemble({ changed, versions, ids }: Extract<Order, { kind: "configure" }>): XdsUpdate {
    const kept = new Map<number, Resource>();
    const found: Partial<Record<ResourceKind, Resource[]>> = {};
    for (const kind of RESOURCE_KINDS)
      found[kind] = Array.from(ids[kind], (id) => {
        const resource = this.#resources.get(id);
        if (resource === undefined) throw new Error(`resource ${id} was not sent`);
        kept.set(id, resource);
        return resource;
      });
    this.#resources = kept;
    // Each list holds what was sent under its kind.
    return { changed, versions, ...(found as unknown as XdsSnapshot) };
  }
}
