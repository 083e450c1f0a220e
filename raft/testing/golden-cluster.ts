/**
 * The cluster a conversation script talks to: nothing happens unless a line says so. Messages wait
 * in one list until delivered, flushes complete at once unless the disk is manual, clocks stand
 * still between ticks. All properties of `invariants.ts` are checked here too.
 */
import { assert } from "../assert.ts";
import type { ConfChange } from "../membership.ts";
import type { RaftNode } from "../node.ts";
import type { Ready } from "../ready.ts";
import type { Entry, LogIndex, NodeId, Term } from "../types.ts";
import { initialConfiguration, member } from "./cluster.ts";
import type { SnapshotImage } from "./disk.ts";
import {
  formatConfiguration,
  formatEntries,
  formatEntry,
  formatEnvelope,
  formatHardState,
  formatId,
  formatSnapshot,
} from "./format.ts";
import { History } from "./history.ts";
import { Host, type HostOwner, type Packet } from "./host.ts";

const TICK_MS = 50;
const ELECTION_TICKS = 5;
const LONGEST_DRAW_MS = 1000;
/** Ticks until the longest timeout has surely passed. */
const CAMPAIGN_TICKS_MAX = 20;
const DELIVERIES_MAX = 2000;

/** `name=value` words of a line, and the others in order. */
interface Words {
  readonly plain: readonly string[];
  readonly named: ReadonlyMap<string, string>;
}

function readWords(words: readonly string[]): Words {
  const named = new Map<string, string>();
  const plain: string[] = [];
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 0) plain.push(word);
    else named.set(word.slice(0, at), word.slice(at + 1));
  }
  return { plain, named };
}

function toNumber(word: string | undefined, fallback: number | undefined = undefined): number {
  const value = word === undefined ? fallback : Number(word);
  assert(value !== undefined && Number.isFinite(value), `a number instead of ${word}`);
  return value;
}

export class GoldenCluster implements HostOwner {
  readonly #history = new History();
  readonly #hosts = new Map<NodeId, Host>();
  readonly #manualDisks = new Set<NodeId>();
  readonly #cutLinks = new Set<string>();
  #mail: Packet[] = [];
  #output: string[] = [];
  #isQuiet = false;
  #nowMs = 0;

  print(line: string): void {
    this.#output.push(line);
  }

  takeOutput(): readonly string[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  /** Runs one line of a script and what follows from it at once. */
  run(line: string): void {
    const [command = "", ...rest] = line.trim().split(/\s+/);
    const words = readWords(rest);
    const run = this.#commands.get(command);
    assert(run !== undefined, `the command ${command} exists`);
    this.#isQuiet = words.plain.includes("quiet");
    run({ ...words, plain: words.plain.filter((word) => word !== "quiet") });
    this.#settle();
  }

  readonly #commands = new Map<string, (words: Words) => void>([
    ["cluster", (words) => this.#cluster(words)],
    ["log", (words) => this.#presetLog(words)],
    ["start", (words) => this.#each(words, (host) => host.start(this.#nowMs))],
    ["campaign", (words) => this.#each(words, (host) => this.#campaign(host))],
    ["tick", (words) => this.#tick(words)],
    ["idle", (words) => this.#idle(words)],
    ["run", (words) => this.#runRounds(words)],
    ["propose", (words) => this.#propose(words)],
    ["conf", (words) => this.#changeMembers(words)],
    ["read", (words) => this.#read(words)],
    ["transfer", (words) => this.#transfer(words)],
    ["deliver", (words) => this.#deliver(words.plain)],
    ["drop", (words) => this.#drop(words.plain)],
    ["duplicate", (words) => this.#duplicate(words.plain)],
    ["mail", () => this.#printMail()],
    ["isolate", (words) => this.#each(words, (host) => this.#isolate(host.id))],
    ["heal", () => this.#cutLinks.clear()],
    ["disk", (words) => this.#setDisk(words)],
    ["sync", (words) => this.#sync(words)],
    ["crash", (words) => this.#crash(words)],
    ["lose", (words) => this.#loseTail(words)],
    ["unmark", (words) => this.#each(words, (host) => host.endRecovery())],
    ["snapshot", (words) => this.#snapshot(words)],
    ["unreachable", (words) => this.#unreachable(words)],
    ["status", (words) => this.#each(words, (host) => this.#printStatus(host))],
    ["logs", (words) => this.#each(words, (host) => this.#printLog(host))],
    ["progress", (words) => this.#each(words, (host) => this.#printProgress(host))],
  ]);

  // Building.

  /** `cluster nodes=3 spares=1 lease=0.1 append-bytes=1 inflight=2 stopped`. */
  #cluster({ plain, named }: Words): void {
    const nodes = toNumber(named.get("nodes"));
    const lease = named.get("lease");
    for (let id = 1; id <= nodes + toNumber(named.get("spares"), 0); id += 1) {
      const config = {
        id,
        group: 0,
        initialConfiguration: id <= nodes ? initialConfiguration(nodes) : { members: [] },
        initialTime: 0,
        tickMs: TICK_MS,
        heartbeatMs: TICK_MS,
        electionTimeoutMs: ELECTION_TICKS * TICK_MS,
        leaseDriftBound: lease === undefined ? undefined : Number(lease),
        appendBytesMax: toNumber(named.get("append-bytes"), 256 * 1024),
        inflightMessagesMax: toNumber(named.get("inflight"), 64),
        inflightBytesMax: 4 * 1024 * 1024,
        uncommittedBytesMax: 64 * 1024 * 1024,
        canVote: true,
        isRecovering: false,
      };
      // Always the longest timeout: scripts decide who campaigns. Ids drawn at random start low.
      const random = { below: (limit: number) => (limit > LONGEST_DRAW_MS ? 0 : limit - 1) };
      this.#hosts.set(id, new Host({ config, history: this.#history, owner: this, random }));
    }
    if (plain.includes("stopped")) return;
    for (const host of this.#hosts.values()) host.start(this.#nowMs);
  }

  /** `log 1 terms=1,1,4 term=6`: gives a node that is not running a past. */
  #presetLog({ plain, named }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    const terms = (named.get("terms") ?? "").split(",").filter((word) => word !== "");
    const entries = terms.map((word, at): Entry => presetEntry(at + 1, Number(word)));
    const term = toNumber(named.get("term"), entries.at(-1)?.term ?? 0);
    const commitIndex = toNumber(named.get("commit"), 0);
    host.disk.format({ term, vote: toNumber(named.get("vote"), 0), commitIndex }, entries);
  }

  // Time.

  #campaign(host: Host): void {
    for (let ticks = 0; ticks < CAMPAIGN_TICKS_MAX; ticks += 1) {
      this.#nowMs += TICK_MS;
      this.#call(host, (node) => node.tick(this.#nowMs));
      if (host.node.role !== "follower" && host.node.role !== "learner") return;
    }
    this.print(`${host.id}: does not campaign`);
  }

  /** `tick 1 3` or `tick all`: time passes for the named nodes, the others stand still. */
  #tick({ plain }: Words): void {
    for (let count = toNumber(plain[1], 1); count > 0; count -= 1) {
      this.#nowMs += TICK_MS;
      for (const host of this.#named(plain[0])) {
        this.#call(host, (node) => node.tick(this.#nowMs));
        this.#settle();
      }
    }
  }

  /** `idle 2 3`: the shortest election timeout passes for these; they hear nothing meanwhile. */
  #idle(words: Words): void {
    for (let count = 0; count < ELECTION_TICKS; count += 1) {
      this.#nowMs += TICK_MS;
      this.#each(words, (host) => this.#call(host, (node) => node.tick(this.#nowMs)));
    }
  }

  /** `run 5`: ticks for all, with everything delivered after each. */
  #runRounds({ plain }: Words): void {
    for (let count = toNumber(plain[0]); count > 0; count -= 1) {
      this.#tick({ plain: ["all"], named: new Map() });
      this.#deliver([]);
    }
  }

  // Asking.

  #propose({ plain }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    for (const word of plain.slice(1)) {
      const data = new TextEncoder().encode(word);
      const proposed = host.call((node) => node.propose(data, this.#nowMs));
      if (proposed.kind !== "appended") this.print(`${host.id}: refuses ${word}: ${proposed.kind}`);
    }
    host.turn();
  }

  #changeMembers({ plain }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    const id = toNumber(plain[2]);
    const change = toConfChange(plain[1], id);
    const proposed = this.#call(host, (node) => node.proposeConfChange(change, this.#nowMs));
    if (proposed.kind === "appended") return;
    const reason = proposed.kind === "refused" ? proposed.reason : proposed.kind;
    this.print(`${host.id}: refuses ${plain[1]} ${id}: ${reason}`);
  }

  #read({ plain }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    const context = toNumber(plain[1]);
    const asked = host.read(context, this.#nowMs);
    if (asked !== "confirmed") this.print(`${host.id}: read ${context} ${asked}`);
    host.turn();
  }

  #transfer({ plain }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    const to = toNumber(plain[1]);
    const started = this.#call(host, (node) => node.transferLeadership(to, this.#nowMs));
    this.print(`${host.id}: transfer to ${to} ${started}`);
  }

  // The network. Words name messages: each must stand in the message's line.

  #deliver(words: readonly string[]): void {
    let budget = DELIVERIES_MAX;
    do {
      for (const packet of this.#take(words)) {
        assert(budget > 0, "the conversation comes to an end");
        budget -= 1;
        this.#deliverOne(packet);
        this.#settle();
      }
    } while (words.length === 0 && this.#mail.length > 0);
  }

  #deliverOne(packet: Packet): void {
    const { envelope, snapshot } = packet;
    const target = this.#hosts.get(envelope.to);
    if (target === undefined || !target.isUp) {
      this.#lose(packet);
      return;
    }
    if (!this.#isQuiet) this.print(formatEnvelope(envelope));
    target.receive(packet, this.#nowMs);
    target.turn();
    if (snapshot !== undefined) this.#reportSnapshot(packet, true);
  }

  #drop(words: readonly string[]): void {
    for (const packet of this.#take(words)) this.#lose(packet);
  }

  #duplicate(words: readonly string[]): void {
    const chosen = this.#mail.filter((packet) => isNamed(packet, words));
    this.#mail.push(...chosen);
  }

  #lose(packet: Packet): void {
    if (!this.#isQuiet) this.print(formatEnvelope(packet.envelope).replace("->", "-x"));
    if (packet.snapshot !== undefined) this.#reportSnapshot(packet, false);
  }

  #reportSnapshot({ envelope }: Packet, ok: boolean): void {
    const sender = this.#host(envelope.from);
    if (sender.isUp) this.#call(sender, (node) => node.reportSnapshot(envelope.to, ok));
  }

  #take(words: readonly string[]): readonly Packet[] {
    const taken = this.#mail.filter((packet) => isNamed(packet, words));
    this.#mail = this.#mail.filter((packet) => !isNamed(packet, words));
    return taken;
  }

  #isolate(id: NodeId): void {
    for (const other of this.#hosts.keys()) {
      this.#cutLinks.add(`${id}>${other}`);
      this.#cutLinks.add(`${other}>${id}`);
    }
  }

  // Disks and power.

  #setDisk({ plain }: Words): void {
    const id = toNumber(plain[0]);
    if (plain[1] === "manual") this.#manualDisks.add(id);
    else this.#manualDisks.delete(id);
  }

  #sync({ plain }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    for (let left = toNumber(plain[1], host.disk.pending.length); left > 0; left -= 1) {
      this.print(`${host.id}: synced #${host.disk.pending[0]?.sequence}`);
      host.completeWrite();
    }
  }

  #crash({ plain, named }: Words): void {
    for (const host of this.#named(plain[0])) host.crash(toNumber(named.get("keep"), 0));
  }

  /** `lose 1 after=3`: what a stopped node has behind entry 3 went bad. */
  #loseTail({ plain, named }: Words): void {
    const { id, disk } = this.#host(toNumber(plain[0]));
    disk.loseTail(toNumber(named.get("after")));
    this.print(`${id}: lost its tail, ${formatHardState(disk.hardState)}`);
  }

  /** `snapshot 1 retain=2`: takes one of all that is applied. */
  #snapshot({ plain, named }: Words): void {
    const host = this.#host(toNumber(plain[0]));
    const image = host.captureSnapshot();
    assert(image !== undefined, "no snapshot is being installed");
    host.finishSnapshot(image, toNumber(named.get("retain"), 0));
    this.print(`${host.id}: took ${formatSnapshot(image.metadata)}`);
  }

  #unreachable({ plain }: Words): void {
    const peer = toNumber(plain[1]);
    this.#call(this.#host(toNumber(plain[0])), (node) => node.reportUnreachable(peer));
  }

  // Looking.

  #printMail(): void {
    for (const { envelope } of this.#mail) this.print(`waiting ${formatEnvelope(envelope)}`);
  }

  #printStatus(host: Host): void {
    if (!host.isUp) {
      this.print(`${host.id}: stopped`);
      return;
    }
    const status = host.node.status();
    const flag = status.isRecovering ? "recovering " : "";
    this.print(
      `${host.id}: ${flag}${status.role} t${status.term} vote=${status.vote} ` +
        `leader=${status.leaderId} last=${status.lastIndex} commit=${status.commitIndex} ` +
        `members ${formatConfiguration(status.configuration)}`,
    );
  }

  #printLog(host: Host): void {
    const log = host.isUp ? host.log : host.disk.log;
    const from = log.firstIndex > 1 ? ` from ${log.firstIndex}` : "";
    const words = log.entries.map((entry) => formatEntry(entry));
    this.print(`${host.id}:${from} ${words.join(", ") || "empty"}`);
  }

  #printProgress(host: Host): void {
    for (const peer of host.node.status().progress) {
      this.print(
        `${host.id}: of ${peer.id} ${peer.state} match=${peer.matchIndex} ` +
          `next=${peer.nextIndex} inflight=${peer.inflight}`,
      );
    }
  }

  // What hosts report.

  send(packet: Packet): void {
    const { from, to } = packet.envelope;
    if (this.#cutLinks.has(`${from}>${to}`)) this.#lose(packet);
    else this.#mail.push(packet);
  }

  wrote(host: Host, ready: Ready): void {
    if (!ready.hasPersist) return;
    const parts: string[] = [];
    if (ready.hardState && ready.mustSyncHardState) parts.push(formatHardState(ready.hardState));
    if (ready.snapshot !== undefined) parts.push(formatSnapshot(ready.snapshot));
    if (ready.entries.length > 0) parts.push(formatEntries(ready.entries));
    if (parts.length === 0) return;
    const number = this.#manualDisks.has(host.id) ? ` #${ready.persistSequence}` : "";
    this.print(`${host.id}: writes${number} ${parts.join(", ")}`);
  }

  changed(host: Host, ready: Ready): void {
    if (ready.softState === undefined) return;
    const { role, leaderId } = ready.softState;
    const of = role === "follower" || role === "learner" ? ` of ${leaderId || "nobody"}` : "";
    this.print(`${host.id}: ${role}${of}, t${host.node.term}`);
  }

  /** Removing the mark is up to the script. */
  becameWhole(host: Host): void {
    this.print(`${host.id}: is whole again`);
  }

  applied(host: Host, entries: readonly Entry[]): void {
    this.print(`${host.id}: applies ${entries.map((entry) => formatEntry(entry)).join(", ")}`);
  }

  restored(host: Host, image: SnapshotImage): void {
    this.print(`${host.id}: restores ${formatId(image.metadata)}`);
  }

  readEnded(host: Host, context: number, index: LogIndex | undefined): void {
    this.print(`${host.id}: read ${context} ${index === undefined ? "aborted" : `at ${index}`}`);
  }

  // Helpers.

  /** Lets disks that are not manual finish whatever was written. */
  #settle(): void {
    for (const host of this.#hosts.values()) {
      if (!host.isUp || this.#manualDisks.has(host.id)) continue;
      while (host.completeWrite());
    }
  }

  #call<Result>(host: Host, run: (node: RaftNode) => Result): Result {
    const result = host.call(run);
    host.turn();
    return result;
  }

  #host(id: NodeId): Host {
    const host = this.#hosts.get(id);
    assert(host !== undefined, `node ${id} exists`);
    return host;
  }

  /** `all` and nothing mean every running node. */
  #named(word: string | undefined): readonly Host[] {
    if (word !== undefined && word !== "all") return [this.#host(Number(word))];
    return [...this.#hosts.values()].filter((host) => host.isUp);
  }

  #each({ plain }: Words, run: (host: Host) => void): void {
    const words = plain.length === 0 ? [...this.#hosts.keys()].map(String) : plain;
    for (const word of words) {
      run(this.#host(Number(word)));
      this.#settle();
    }
  }
}

function isNamed(packet: Packet, words: readonly string[]): boolean {
  const line = formatEnvelope(packet.envelope);
  return words.every((word) => line.includes(word));
}

function presetEntry(index: LogIndex, term: Term): Entry {
  const data = new TextEncoder().encode(`${index}.${term}`);
  return { type: "command", group: 0, index, term, time: 0, data };
}

function toConfChange(word: string | undefined, id: NodeId): ConfChange {
  switch (word) {
    case "add-learner":
      return { kind: "add-learner", member: member(id, "learner") };
    case "promote":
      return { kind: "promote", id };
    case "remove":
      return { kind: "remove", id };
    default:
      throw new Error(`unknown change ${word}`);
  }
}
