/**
 * What a channel sends its bytes with: an upgraded connection, or one POST after the other where
 * something between two members does not let an upgrade pass.
 */

export interface Carrier {
  /** False while earlier bytes must arrive first. */
  readonly isReady: boolean;
  /** Bytes taken and not yet handed to the kernel. */
  readonly queuedBytes: number;
  /** Takes whole frames. True when `bytes` may be overwritten at once. Never throws. */
  send(bytes: Buffer): boolean;
  /** Called once a second; notices a silent peer. */
  tick(): void;
  /** Ends it; nothing is reported from here on. */
  close(): void;
}
