/**
 * The lab's network (labrpc) over one-way messages: what it does to requests is done to messages
 * that ask, what it does to replies to messages that answer. Counts both.
 */
import type { SeededRandom } from "../../../raft/index.ts";
import type { PeerMessage } from "../../../server/peer/index.ts";
import type { Conduct, Fate } from "../../simulation/simulated-network.ts";
import { Wire } from "../../simulation/wire.ts";
import { LOSS, longDelayMs, REQUEST_WAIT_MS_MAX } from "../weather.ts";
import type { Traffic, Weather } from "../world.ts";

export class Carriage {
  readonly #random: SeededRandom;
  readonly #weather: () => Weather;
  readonly #wire: Wire | undefined;
  #requests = 0;
  #bytes = 0;

  constructor(random: SeededRandom, weather: () => Weather, countsBytes: boolean) {
    this.#random = random;
    this.#weather = weather;
    this.#wire = countsBytes ? new Wire() : undefined;
  }

  get traffic(): Traffic {
    return { requests: this.#requests, bytes: this.#bytes };
  }

  readonly conduct: Conduct = (message) => {
    const isAnswer = isAnswering(message);
    if (!isAnswer) this.#requests += 1;
    if (this.#wire !== undefined) this.#bytes += this.#wire.bytesOf(message);
    const weather = this.#weather();
    if (!weather.isUnreliable) return undefined;
    return isAnswer ? this.#answer(weather) : this.#request();
  };

  #request(): Fate {
    const delayMs = this.#random.below(REQUEST_WAIT_MS_MAX + 1);
    return { isLost: this.#random.next() < LOSS, delayMs };
  }

  #answer({ hasLongReordering }: Weather): Fate {
    const isLost = this.#random.next() < LOSS;
    return { isLost, delayMs: hasLongReordering ? longDelayMs(this.#random) : 0 };
  }
}

function isAnswering(message: PeerMessage): boolean {
  if (message.kind !== "raft") return message.kind === "forward-results";
  return message.envelope.message.kind.endsWith("-response");
}
