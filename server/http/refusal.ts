/**
 * A request that will not be carried out, as a value: parsers return it instead of throwing, and
 * only error-response.ts turns it into a status. Knows nothing of sockets or of the store.
 */
import type { ErrorCode } from "../../clients/contract.ts";

export class RequestRefusal {
  readonly code: ErrorCode;
  /** For a person: what was wrong and what to send instead. Never quotes raw request bytes. */
  readonly message: string;

  constructor(code: ErrorCode, message: string) {
    this.code = code;
    this.message = message;
  }
}

export function badRequest(message: string): RequestRefusal {
  return new RequestRefusal("BAD_REQUEST", message);
}

/** `reason` comes from the key decoder, lower case and without a full stop. */
export function badKey(reason: string): RequestRefusal {
  return new RequestRefusal("BAD_KEY", `This is not a key: ${reason}.`);
}

export function tooLarge(bytesMax: number): RequestRefusal {
  return new RequestRefusal("BODY_TOO_LARGE", `A body has at most ${bytesMax} bytes here.`);
}
