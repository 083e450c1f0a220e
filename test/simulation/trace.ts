/**
 * What happened, as a hash that two runs of one seed share, and as readable lines when asked for.
 * Printing changes nothing: the hash is the same with and without it.
 */
const LINES_KEPT = 200_000;
/** Values are long and tell little. */
const LINE_LENGTH_MAX = 240;

export class Trace {
  readonly #lines: string[] | undefined;
  #first = 0x811c9dc5;
  #second = 0x9e3779b9;
  nowMs: () => number = () => 0;

  constructor(keepsLines: boolean) {
    this.#lines = keepsLines ? [] : undefined;
  }

  get keepsLines(): boolean {
    return this.#lines !== undefined;
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  get hash(): string {
    const hex = (lane: number) => (lane >>> 0).toString(16).padStart(8, "0");
    return hex(this.#first) + hex(this.#second);
  }

  /** One thing that happened: numbers for the hash. */
  mix(a: number, b: number, c: number, d: number): void {
    const time = Math.floor(this.nowMs() * 1024);
    let first = this.#first;
    let second = this.#second;
    first = Math.imul(first ^ time, 0x01000193);
    first = Math.imul(first ^ a, 0x01000193);
    first = Math.imul(first ^ b ^ (first >>> 13), 0x01000193);
    second = Math.imul(second ^ c, 0x85ebca6b);
    second = Math.imul(second ^ d ^ (second >>> 15), 0xc2b2ae35);
    this.#first = first ^ (second >>> 7);
    this.#second = second ^ (first >>> 11) ^ (time & 0xff);
  }

  /** The same for people; call it only when `keepsLines`. */
  line(text: string): void {
    if (this.#lines === undefined || this.#lines.length >= LINES_KEPT) return;
    const line = text.length > LINE_LENGTH_MAX ? `${text.slice(0, LINE_LENGTH_MAX)}…` : text;
    this.#lines.push(`${this.nowMs().toFixed(3).padStart(11)}  ${line}`);
  }

  /** Both at once, for things that happen seldom. */
  note(text: string): void {
    let sum = 0;
    for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), 31);
    this.mix(text.length, sum, 0, 0);
    if (this.#lines !== undefined) this.line(text);
  }
}
