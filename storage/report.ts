/** What storage noticed and dealt with by itself; for the log, nobody has to act on it. */
export type StorageReport =
  /** A batch that was being written when the process died, and was never promised. */
  | { readonly kind: "torn-batch-cut"; readonly file: string; readonly offset: number }
  /** One of the two copies of term and vote was damaged; the other one and the log had them. */
  | {
      readonly kind: "hard-state-slot-repaired";
      readonly file: string;
      readonly offset: number;
      /** It looks like a write that a crash cut off, which was promised to nobody. */
      readonly isTorn: boolean;
    }
  /** The newest snapshot is damaged; an older one and the log reach as far. */
  | { readonly kind: "snapshot-skipped"; readonly file: string; readonly error: Error }
  | { readonly kind: "leftover-removed"; readonly file: string }
  /** No room for the next segment; tried again until there is. */
  | { readonly kind: "allocation-failed"; readonly error: Error }
  | { readonly kind: "allocation-recovered" };
