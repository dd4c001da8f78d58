// Collects what is wrong with one configuration resource, by path, and becomes one error that names all of it.
import { WeirError } from "../../lib/errors.ts";
import type { Message, ResourceKind } from "../../xds/types.ts";

/** Code of a resource that is rejected. */
export const CONFIG_REJECTED = "WEIR_ERR_PROXY_CONFIG";
/** Problems that an error names; more are counted. */
const MAX_NAMED = 8;

export interface Problem {
  /** In the wire's own field names. */
  readonly path: string;
  readonly why: string;
}

/** The problems of one resource. */
export class Problems {
  readonly #label: string;
  readonly #found: Problem[] = [];

  constructor(kind: ResourceKind, resource: Message) {
    this.#label = `${kind} ${JSON.stringify(nameOf(resource))}`;
  }

  add(path: string, why: string): void {
    // A message may be read for more than one purpose.
    if (!this.#found.some((known) => known.path === path && known.why === why))
      this.#found.push({ path, why });
  }

  and(path: string, why: string): this {
    this.add(path, why);
    return this;
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw this.error();
  }

  error(): WeirError {
    const named = this.#found.slice(0, MAX_NAMED).map(({ path, why }) => `${path} ${why}`);
    const more = this.#found.length - named.length;
    if (more > 0) named.push(`and ${more} more`);
    return new WeirError({
      code: CONFIG_REJECTED,
      source: "user",
      message: `${this.#label} is rejected: ${named.join("; ")}`,
      context: { problems: this.#found },
    });
  }
}

function nameOf(resource: Message): string {
  if ("name" in resource && typeof resource.name === "string") return resource.name;
  return "clusterName" in resource && typeof resource.clusterName === "string" ? resource.clusterName : "";
}
