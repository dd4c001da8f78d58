// What a server has published, per group of nodes: the present publication and, for clients that come back, what recent versions stood
// for. Bounded per group; groups are those that were published, never those that clients claim.
import type { ResourceKind, XdsSnapshot } from "./messages.ts";
import type { Recall } from "./session.ts";
import { type Entries, type Publication, publicationOf } from "./snapshot.ts";

/** Versions per kind and group whose content is remembered. */
export const MAX_REMEMBERED_VERSIONS = 64;

interface Group {
  publication: Publication;
  readonly sent: Readonly<Record<ResourceKind, Map<string, Entries>>>;
}

export class GroupTable {
  readonly #groups = new Map<string, Group>();
  /** Where counting had got to in groups that were removed: numbers that nodes have acknowledged are not given out again. */
  readonly #lastSeqs = new Map<string, number>();

  /** Publishes; content that equals the present one keeps its number. Throws SNAPSHOT_INCONSISTENT. */
  publish(
    name: string,
    snapshot: XdsSnapshot,
  ): { readonly publication: Publication; readonly isNew: boolean } {
    const group = this.#groups.get(name);
    const publication = publicationOf(
      (group?.publication.seq ?? this.#lastSeqs.get(name) ?? 0) + 1,
      snapshot,
    );
    if (group === undefined) {
      const sent = { clusters: new Map(), endpoints: new Map(), listeners: new Map(), routes: new Map() };
      this.#groups.set(name, { publication, sent });
      return { publication, isNew: true };
    }
    const { versions } = group.publication;
    const isSame =
      versions.clusters === publication.versions.clusters &&
      versions.endpoints === publication.versions.endpoints &&
      versions.listeners === publication.versions.listeners &&
      versions.routes === publication.versions.routes;
    if (isSame) return { publication: group.publication, isNew: false };
    group.publication = publication;
    return { publication, isNew: true };
  }

  publication(name: string): Publication | undefined {
    return this.#groups.get(name)?.publication;
  }

  remove(name: string): void {
    const seq = this.#groups.get(name)?.publication.seq;
    if (seq !== undefined) this.#lastSeqs.set(name, seq);
    this.#groups.delete(name);
  }

  /** Remembers what a version stands for. */
  remember(name: string, kind: ResourceKind, version: string, entries: Entries): void {
    const versions = this.#groups.get(name)?.sent[kind];
    if (versions === undefined) return;
    versions.delete(version);
    versions.set(version, entries);
    const [oldest] = versions.keys();
    if (versions.size > MAX_REMEMBERED_VERSIONS && oldest !== undefined) versions.delete(oldest);
  }

  recall(name: string): Recall {
    return (kind, version) => this.#groups.get(name)?.sent[kind].get(version);
  }
}
