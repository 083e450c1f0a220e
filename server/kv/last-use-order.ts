/**
 * Ids in order of their last use. As all live equally long after it, the first is the first to
 * expire: finding it, moving an id to the end and dropping one are O(1).
 *
 * A linked list, because a Map used as a queue leaves holes at its front and walks over them
 * whenever it is asked for its first key.
 *
 * - Uses are recorded in rising time, so the list is sorted by `lastUse`.
 */
import { assert } from "../../raft/index.ts";

interface Link {
  readonly id: string;
  lastUse: number;
  before: Link | undefined;
  after: Link | undefined;
}

export class LastUseOrder {
  readonly #links = new Map<string, Link>();
  #first: Link | undefined;
  #last: Link | undefined;

  get size(): number {
    return this.#links.size;
  }

  /** The id that was not used for longest. */
  get first(): { readonly id: string; readonly lastUse: number } | undefined {
    return this.#first;
  }

  /** Records a use of a known or a new id; answers with the string that is kept of it. */
  touch(id: string, time: number): string {
    const link = this.#links.get(id) ?? this.#create(id);
    this.#unlink(link);
    assert(this.#last === undefined || this.#last.lastUse <= time, "cluster time never runs back");
    link.lastUse = time;
    link.before = this.#last;
    if (this.#last === undefined) this.#first = link;
    else this.#last.after = link;
    this.#last = link;
    return link.id;
  }

  delete(id: string): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#unlink(link);
    this.#links.delete(id);
  }

  #create(id: string): Link {
    const link: Link = { id, lastUse: 0, before: undefined, after: undefined };
    this.#links.set(id, link);
    return link;
  }

  /** Takes a link out of the list; harmless when it is not in it. */
  #unlink(link: Link): void {
    if (link.before !== undefined) link.before.after = link.after;
    else if (this.#first === link) this.#first = link.after;
    if (link.after !== undefined) link.after.before = link.before;
    else if (this.#last === link) this.#last = link.before;
    link.before = undefined;
    link.after = undefined;
  }
}
