/** Which records an answer has shown, whatever was asked. */
import type { Input, ObservedRecord, Output } from "./history.ts";

interface SeenRecord {
  readonly key: string;
  readonly record: ObservedRecord;
}

/** Every record in an answer, with its key. */
export function recordsSeen(input: Input, output: Output): readonly SeenRecord[] {
  if (output.kind === "list") return output.items;
  if (output.kind === "txn") {
    if (input.kind !== "txn") return [];
    const parts = output.succeeded ? input.success : input.failure;
    return (output.results ?? []).flatMap((result, at) => {
      const part = parts[at];
      return part === undefined ? [] : recordsSeen(part, result);
    });
  }
  const record = recordIn(output);
  if (record === null || record === undefined || !("key" in input)) return [];
  return [{ key: input.key, record }];
}

function recordIn(
  output: Exclude<Output, { readonly kind: "list" | "txn" }>,
): ObservedRecord | null | undefined {
  switch (output.kind) {
    case "record":
      return output.record;
    case "condition-failed":
      return output.current;
    default:
      return output.previous;
  }
}
