/**
 * What chaos is done to: real processes, the network between them, and the disks of some. Owns
 * how it is put together and taken apart; what happens in it is for the faults to say.
 *
 * - Only processes that were started here are ever signalled.
 * - A node that ends without being asked to is an error (`Cluster.assertAlive`).
 */
import { appendFileSync, cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { SeededRandom } from "../../raft/index.ts";
import { type Cluster, startCluster } from "../cluster-process.ts";
import { PeerNetwork } from "../proxy/peer-network.ts";
import { RamDisk } from "./ram-disk.ts";

export interface World {
  readonly cluster: Cluster;
  readonly network: PeerNetwork;
  /** By node: those whose disk can be filled. */
  readonly smallDisks: ReadonlyMap<number, RamDisk>;
  /** The settings the nodes were started with. */
  readonly flags: readonly string[];
  /** How many lines with this text the nodes have logged. */
  linesWith(text: string): number;
  /** Ends everything. The data stays, that on small disks as a copy. */
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly nodes: number;
  readonly random: SeededRandom;
  /** For data and logs. */
  readonly directory: string;
  /** On a tmpfs, where that is permitted: as many nodes as the others can do without. */
  readonly wantsSmallDisks: boolean;
}

/** What the nodes are heard saying, for faults that want to know whether they fired. */
const REMARKS = ["no room for the log"];
const SMALL_DISK_MEBIBYTES = 48;

export async function createWorld(options: WorldOptions): Promise<World> {
  const { nodes, random, directory } = options;
  mkdirSync(directory, { recursive: true });
  const data = join(directory, "data");
  // A history begins with an empty store.
  if (existsSync(data)) throw new Error(`${data} is there already`);
  const smallDisks = mountSmallDisks(options, data);
  const network = new PeerNetwork();
  const flags = drawFlags(random);
  const heard = new Map(REMARKS.map((text) => [text, 0]));
  const onLine = (id: number, line: string): void => {
    appendFileSync(join(directory, `node${id}.log`), `${line}\n`);
    for (const [text, count] of heard) if (line.includes(text)) heard.set(text, count + 1);
  };
  const standBefore = (id: number, listen: string, port: number): Promise<string> =>
    network.standBefore(id, listen, port);
  const cluster = await startCluster({ nodes, flags, directory: data, standBefore, onLine });
  const close = async (): Promise<void> => {
    await cluster.endAll("SIGKILL");
    network.close();
    for (const [id, disk] of smallDisks) {
      if (!disk.isMounted) continue;
      cpSync(disk.path, join(directory, `node${id}-data`), { recursive: true });
      disk.unmount();
    }
  };
  const linesWith = (text: string): number => heard.get(text) ?? 0;
  return { cluster, network, smallDisks, flags, linesWith, close };
}

/** Small files and frequent snapshots: what happens once a day happens every second. */
function drawFlags(random: SeededRandom): readonly string[] {
  const pick = (values: readonly number[]): string => String(values[random.below(values.length)]);
  return [
    ...["--segment-bytes", pick([64, 128, 512].map((kibibytes) => kibibytes * 1024))],
    ...["--snapshot-every-entries", pick([200, 1000, 5000])],
    ...["--log-tail-entries", pick([0, 50, 1000])],
  ];
}

function mountSmallDisks(
  { nodes, random, wantsSmallDisks }: WorldOptions,
  data: string,
): ReadonlyMap<number, RamDisk> {
  const disks = new Map<number, RamDisk>();
  const count = Math.floor((nodes - 1) / 2);
  const first = random.below(nodes);
  for (let index = 0; wantsSmallDisks && index < count; index += 1) {
    const id = ((first + index) % nodes) + 1;
    const disk = RamDisk.mount(join(data, `node${id}`), SMALL_DISK_MEBIBYTES);
    if (disk !== undefined) disks.set(id, disk);
  }
  return disks;
}
