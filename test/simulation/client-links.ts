/**
 * The way of the client library to the nodes: its `fetch`, and its clock. A request may get lost on
 * the way there or the answer on the way back, and the client only sees a broken connection; a
 * process that is gone refuses the connection, one that ends breaks it.
 *
 * Every event here that lets the library go on wakes the scheduler.
 */
import type { ClientClock, Fetch, FetchInit } from "../../clients/index.ts";
import type { SeededRandom } from "../../raft/index.ts";
import { between, chance } from "./chance.ts";
import { type Cluster, clientAddressOf } from "./cluster.ts";
import type { HttpFront } from "./http-front.ts";
import type { SimulatedNode } from "./node.ts";
import { require } from "./violation.ts";

const SCHEME = "http://";
const LATENCY_MS_MAX = 2;

/** Settles what the library waits for. */
interface Pending {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: Error) => void;
}

export class ClientLinks {
  readonly clock: ClientClock;
  /** How often a request or its answer is lost. */
  lossChance = 0;
  readonly #cluster: Cluster;
  readonly #front: HttpFront;
  readonly #random: SeededRandom;

  constructor(cluster: Cluster, front: HttpFront, random: SeededRandom) {
    this.#cluster = cluster;
    this.#front = front;
    this.#random = random;
    const { scheduler } = cluster;
    this.clock = {
      now: () => scheduler.nowMs,
      after: (delayMs, run) => {
        const timer = scheduler.after(delayMs, () => {
          scheduler.wake();
          run();
        });
        return () => timer.cancel();
      },
    };
  }

  get endpoints(): readonly string[] {
    return this.#cluster.nodes.map(({ id }) => clientAddressOf(id));
  }

  readonly fetch: Fetch = (url, init) =>
    new Promise((resolve, reject) => {
      const abort = (): void => reject(new DOMException("aborted", "AbortError"));
      init.signal.addEventListener("abort", abort, { once: true });
      const pathAt = url.indexOf("/", SCHEME.length);
      const node = this.#nodeAt(url.slice(SCHEME.length, pathAt));
      if (this.#isLost("request lost")) this.#later(() => reject(BROKEN));
      else this.#send(node, url.slice(pathAt), init, { resolve, reject });
    });

  #send(node: SimulatedNode, target: string, init: FetchInit, pending: Pending): void {
    const { scheduler, trace } = this.#cluster;
    const { method, headers, body } = init;
    if (trace.keepsLines) trace.line(`${method} ${target} to ${node.id}`);
    const gone = (wasSent: boolean): void => {
      scheduler.wake();
      pending.reject(wasSent ? BROKEN : REFUSED);
    };
    this.#cluster.call(node, gone, (process, settle) => {
      this.#front.serve(process, { method, target, headers, body }, settle, (response) => {
        trace.mix(6, node.id, response.status, 0);
        const isLost = this.#isLost("answer lost");
        this.#later(() => {
          if (isLost) pending.reject(BROKEN);
          else pending.resolve(response);
        });
      });
    });
  }

  /** The name of a machine that was removed is given to one that was not. */
  #nodeAt(address: string): SimulatedNode {
    const { endpoints } = this.#cluster;
    const named = endpoints.find(({ id }) => clientAddressOf(id) === address);
    const node = named ?? endpoints[0];
    require(node !== undefined, () => "a cluster has nodes");
    return node;
  }

  #isLost(what: string): boolean {
    const isLost = chance(this.#random, this.lossChance);
    if (isLost) this.#cluster.tally.count(`client: ${what}`);
    return isLost;
  }

  #later(run: () => void): void {
    const { scheduler } = this.#cluster;
    scheduler.after(between(this.#random, 0.05, LATENCY_MS_MAX), () => {
      scheduler.wake();
      run();
    });
  }
}

/** As Node's fetch throws them. Made once: a stack would tell nothing, and takes its time. */
const REFUSED = connectionError("ECONNREFUSED");
const BROKEN = connectionError("ECONNRESET");

function connectionError(code: string): TypeError {
  return new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) });
}
