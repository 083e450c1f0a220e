/** The only door of raft/. */
export { assert, InvariantError, unreachable } from "./assert.ts";
export type * from "./message.ts";
export type * from "./ports.ts";
export { type Random, SeededRandom } from "./random.ts";
export type { ReadState, Ready } from "./ready.ts";
export * from "./types.ts";
