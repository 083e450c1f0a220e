/**
 * One of the two ordered ways to a peer: its outbox, the connection it is sent over, and getting
 * that connection back when it is lost.
 *
 * - Messages are encoded straight into the outbox and leave together, in one write.
 * - The outbox is bounded and lives no longer than its connection: what waited when the connection
 *   was lost is dropped, never sent again. Raft repeats what matters, and a forwarded write must
 *   not arrive after its outcome was called unknown.
 * - An upgraded connection is what is wanted. Where upgrades are refused again and again, POSTs
 *   carry the same frames until an upgrade succeeds.
 */
import type { Clock, Envelope, Member, Random, Timer } from "../../raft/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import type { Carrier } from "./carrier.ts";
import { type Dial, type DialOutcome, dial } from "./dial.ts";
import type { ChannelName } from "./handshake.ts";
import { encodeEnvelope, encodeForward, encodeForwardResults } from "./peer-codec.ts";
import type { Forward, ForwardResults, ReplicaMessage } from "./peer-message.ts";
import type { PeerCaller } from "./peer-request.ts";
import { PostCarrier } from "./post-carrier.ts";
import { encodeReplicaMessage } from "./replica-message-codec.ts";
import { StreamCarrier } from "./stream-carrier.ts";
import type { PeerInfo } from "./transport.ts";

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 500;
/** POSTs work: no hurry to find out whether upgrades do by now. */
const RETRY_WHILE_POSTING_MS = 2_000;
const FAILURES_BEFORE_POST = 3;
const NO_BYTES = Buffer.alloc(0);

export interface ChannelContext {
  readonly caller: PeerCaller;
  readonly clock: Clock;
  readonly random: Random;
  readonly outboxBytesMax: number;
}

export interface ChannelEvents {
  /** The outbox is no longer empty: `flush` is due at the end of this turn. */
  filled(channel: PeerChannel): void;
  up(info: PeerInfo): void;
  down(reason: string): void;
  refused(reason: string): void;
}

export class PeerChannel {
  readonly #context: ChannelContext;
  readonly #events: ChannelEvents;
  readonly #name: ChannelName;
  readonly #outbox = new ByteWriter();
  #member: Member;
  #carrier: Carrier | undefined;
  /** A connection that waits for the last POST to arrive. */
  #successor: { readonly carrier: Carrier; readonly info: PeerInfo } | undefined;
  /** A POST carrier that has not proved itself yet. */
  #probe: PostCarrier | undefined;
  #dial: Dial | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  /** `flush` is due. */
  #isScheduled = false;
  #isClosed = false;

  constructor(context: ChannelContext, name: ChannelName, member: Member, events: ChannelEvents) {
    this.#context = context;
    this.#name = name;
    this.#member = member;
    this.#events = events;
    this.#open();
  }

  get isUp(): boolean {
    return this.#carrier !== undefined;
  }

  /** For the next connection; the present one keeps the handshake it has. */
  setMember(member: Member): void {
    this.#member = member;
  }

  /** Each of these returns false when the message was dropped: not connected, or no room. */
  send(envelope: Envelope): boolean {
    return this.#hasRoom() && this.#filled(encodeEnvelope(this.#outbox, envelope));
  }

  forward(message: Forward): boolean {
    return this.#hasRoom() && this.#filled(encodeForward(this.#outbox, message));
  }

  forwardResults(message: ForwardResults): boolean {
    return this.#hasRoom() && this.#filled(encodeForwardResults(this.#outbox, message));
  }

  tell(message: ReplicaMessage): boolean {
    return this.#hasRoom() && this.#filled(encodeReplicaMessage(this.#outbox, message));
  }

  flush(): void {
    this.#isScheduled = false;
    const carrier = this.#carrier;
    if (carrier?.isReady !== true || this.#outbox.length === 0) return;
    if (carrier.send(this.#outbox.take())) this.#outbox.reuse();
    else this.#outbox.renew();
  }

  tick(): void {
    this.#carrier?.tick();
    this.#probe?.tick();
  }

  /** The peer is known to be there: no need to wait before the next attempt. */
  wake(): void {
    if (this.#retry === undefined || this.#carrier !== undefined) return;
    this.#retry.cancel();
    this.#open();
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#dial?.cancel();
    this.#carrier?.close();
    this.#successor?.carrier.close();
    this.#probe?.close();
    this.#carrier = undefined;
  }

  #hasRoom(): boolean {
    const carrier = this.#carrier;
    if (carrier === undefined) return false;
    return this.#outbox.length + carrier.queuedBytes < this.#context.outboxBytesMax;
  }

  #filled(isEncoded: boolean): boolean {
    if (isEncoded && !this.#isScheduled) {
      this.#isScheduled = true;
      this.#events.filled(this);
    }
    return isEncoded;
  }

  #open(): void {
    this.#retry = undefined;
    const { caller, clock } = this.#context;
    const target = { caller, clock, member: this.#member, channel: this.#name };
    this.#dial = dial(target, (outcome) => this.#onDialled(outcome));
  }

  #onDialled(outcome: DialOutcome): void {
    this.#dial = undefined;
    if (outcome.kind === "upgraded") {
      const stream: StreamCarrier = new StreamCarrier(outcome.socket, {
        alive: () => {
          this.#failures = 0;
        },
        lost: (reason) => this.#onLost(stream, reason),
      });
      this.#adopt(stream, outcome.info);
      return;
    }
    this.#scheduleRetry();
    if (outcome.kind === "failed") return;
    this.#events.refused(outcome.reason);
    if (this.#failures >= FAILURES_BEFORE_POST) this.#tryPosting();
  }

  #adopt(carrier: Carrier, info: PeerInfo): void {
    this.#probe?.close();
    this.#probe = undefined;
    const before = this.#carrier;
    if (before?.isReady === false) {
      // A POST is still away: what is sent on the new connection must not overtake it.
      this.#successor = { carrier, info };
      return;
    }
    before?.close();
    this.#carrier = carrier;
    if (before === undefined) this.#events.up(info);
    this.flush();
  }

  #onReady(): void {
    const successor = this.#successor;
    this.#successor = undefined;
    if (successor === undefined) this.flush();
    else this.#adopt(successor.carrier, successor.info);
  }

  #onLost(carrier: Carrier, reason: string): void {
    const successor = this.#successor;
    if (carrier === successor?.carrier) {
      this.#successor = undefined;
      this.#scheduleRetry();
      return;
    }
    if (carrier !== this.#carrier) return;
    this.#carrier = undefined;
    this.#successor = undefined;
    this.#outbox.reuse();
    this.#events.down(reason);
    if (this.#isClosed) {
      successor?.carrier.close();
    } else if (successor !== undefined) {
      this.#adopt(successor.carrier, successor.info);
    } else if (this.#dial === undefined) {
      this.#retry?.cancel();
      this.#scheduleRetry();
    }
  }

  #scheduleRetry(): void {
    if (this.#isClosed) return;
    const { clock, random } = this.#context;
    const grownMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures, 10));
    const delayMs = this.#carrier === undefined ? grownMs : RETRY_WHILE_POSTING_MS;
    this.#failures += 1;
    // Half of the delay is drawn, so that two nodes that lost each other do not stay in step.
    const jitteredMs = delayMs / 2 + random.below(delayMs / 2 + 1);
    this.#retry = clock.after(jitteredMs, () => this.#open());
  }

  #tryPosting(): void {
    if (this.#isClosed || this.#carrier !== undefined || this.#probe !== undefined) return;
    const carrier: PostCarrier = new PostCarrier(this.#context.caller, this.#member, {
      ready: (info) => {
        if (this.#probe === carrier) {
          this.#probe = undefined;
          this.#adopt(carrier, info);
        } else {
          this.#onReady();
        }
      },
      lost: (reason) => {
        if (this.#probe === carrier) this.#probe = undefined;
        else this.#onLost(carrier, reason);
      },
    });
    this.#probe = carrier;
    carrier.send(NO_BYTES);
  }
}
