/**
 * How long to wait before trying again. Pure arithmetic: time and dice are handed in.
 *
 * Exponential backoff with full jitter: a delay is drawn evenly from zero to a bound that doubles
 * up to a cap. The bound starts low, because the usual reason to retry is a new leader that is
 * some hundred milliseconds away; the jitter keeps the clients that lost the same leader from
 * coming back in step.
 */
export interface RetryPolicy {
  /** One try may take this long; a node that hangs must not eat the whole deadline. */
  readonly tryTimeoutMs: number;
  /** Upper bound of the first delay. */
  readonly delayMsMin: number;
  /** Upper bound of every delay. */
  readonly delayMsMax: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  tryTimeoutMs: 2_000,
  delayMsMin: 25,
  delayMsMax: 250,
};

/** `retries` counts from 0; `random` gives a fraction from 0 up to, not including, 1. */
export function backoffMs(policy: RetryPolicy, retries: number, random: () => number): number {
  const boundMs = Math.min(policy.delayMsMax, policy.delayMsMin * 2 ** Math.min(retries, 30));
  return random() * boundMs;
}

/**
 * The server's wish in `Retry-After`, in milliseconds; 0 when there is none. The form with a date
 * is not read: it would need a wall clock, and ours and the server's need not agree.
 */
export function retryAfterMs(header: string | null): number {
  if (header === null || !/^\d{1,6}$/.test(header.trim())) return 0;
  return Number(header) * 1_000;
}
