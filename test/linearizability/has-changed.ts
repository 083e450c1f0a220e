/** Which answers say that something was changed. */
import type { Input, Output } from "./history.ts";

/** Whether the revision in this answer is one that it made. */
export function hasChanged(input: Input, output: Output): boolean {
  switch (output.kind) {
    case "put":
      return true;
    case "deleted":
      return output.deleted > 0;
    case "txn": {
      if (input.kind !== "txn") return false;
      const parts = output.succeeded ? input.success : input.failure;
      return parts.some((part, at) => {
        const result = output.results?.[at];
        return result === undefined ? part.kind === "put" : hasChanged(part, result);
      });
    }
    default:
      return false;
  }
}
