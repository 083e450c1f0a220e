/**
 * A set of small numbers: which operations an order has used so far. Operations are numbered by
 * their call and used roughly in that order, so almost all of the set is a run of full words at
 * its start; only what follows is ever copied or compared. That keeps a memo over 100,000
 * operations of one key in memory, where whole bitsets would need 12 KB each.
 */
const FULL = 0xffff_ffff;

export class OperationSet {
  readonly #words: Uint32Array;
  /** All words before this one are full. */
  #start = 0;
  /** All words from this one on are empty. */
  #end = 0;

  constructor(size: number) {
    this.#words = new Uint32Array((size >>> 5) + 1);
  }

  has(number: number): boolean {
    return (this.#word(number >>> 5) & (1 << (number & 31))) !== 0;
  }

  add(number: number): void {
    const at = number >>> 5;
    this.#words[at] = this.#word(at) | (1 << (number & 31));
    if (at >= this.#end) this.#end = at + 1;
    while (this.#word(this.#start) === FULL) this.#start += 1;
  }

  remove(number: number): void {
    const at = number >>> 5;
    this.#words[at] = this.#word(at) & ~(1 << (number & 31));
    if (at < this.#start) this.#start = at;
    while (this.#end > 0 && this.#word(this.#end - 1) === 0) this.#end -= 1;
  }

  /** Equal for equal sets, and only for these. */
  key(): string {
    let key = String(this.#start);
    for (let at = this.#start; at < this.#end; at += 1) key += `,${this.#word(at).toString(36)}`;
    return key;
  }

  /** A copy to ask `includesAll` about later. */
  words(): Uint32Array {
    return this.#words.slice(0, this.#end);
  }

  includesAll(words: Uint32Array): boolean {
    for (let at = 0; at < words.length; at += 1) {
      if (((words[at] ?? 0) & ~this.#word(at)) !== 0) return false;
    }
    return true;
  }

  #word(at: number): number {
    return this.#words[at] ?? 0;
  }
}
