/** How large a put is as an entry of the log. */
import { encodePut } from "../../server/kv/index.ts";
import { ENTRY_HEADER_BYTES } from "../../storage/index.ts";

/** As long as a session's id gets. */
const SESSION = { id: "m".repeat(32), sequence: 1, lowestUnanswered: 1 };

export function entryBytesOf(key: string, value: string, hasSession: boolean): number {
  const command = encodePut({
    key,
    value: Buffer.from(value, "latin1"),
    type: "text",
    condition: { kind: "revision", revision: 1 },
    ...(hasSession ? { session: SESSION } : {}),
  });
  return ENTRY_HEADER_BYTES + command.length;
}
