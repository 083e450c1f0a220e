/** What clients want, and what is known of each attempt to get it. */
import type { Condition, SessionStamp } from "../../server/kv/index.ts";

/** What a command is meant to do. */
export type Intent =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string;
      readonly condition: Condition;
      readonly wantPrevious: boolean;
      readonly stamp: SessionStamp | undefined;
    }
  | {
      readonly kind: "delete";
      readonly key: string;
      readonly condition: Condition;
      readonly wantPrevious: boolean;
      readonly stamp: SessionStamp | undefined;
    }
  | { readonly kind: "open-session" }
  | { readonly kind: "close-session"; readonly session: string };

/** One submitted command. Its id travels in the command, so the log tells where it came from. */
export interface Attempt {
  readonly id: number;
  readonly intent: Intent;
  /** The newest point of the order that somebody had seen when the operation was begun. */
  readonly floor: number;
  outcome: "pending" | "applied" | "not-applied" | "unknown";
  /** Where it stands in the log; 0 for nowhere so far. */
  index: number;
}

/** The same body means the same answer under one sequence. */
export function bodyOf(intent: Intent): string {
  switch (intent.kind) {
    case "put":
    case "delete": {
      const { kind, key, condition } = intent;
      const revision = condition.kind === "revision" ? condition.revision : 0;
      const value = kind === "put" ? intent.value : "";
      return `${kind} ${key} ${condition.kind} ${revision} ${value}`;
    }
    case "open-session":
      return "open-session";
    case "close-session":
      return `close-session ${intent.session}`;
  }
}
