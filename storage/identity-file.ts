/**
 * Who owns this data directory, as five lines of text closed by their CRC. Made once, whole or not
 * at all, before any other file; checked at every start. A wiped directory gets a new incarnation,
 * so the cluster can tell it from the member that remembered its promises.
 */
import { checksum } from "./checksum.ts";
import type { Identity } from "./contract.ts";
import { CorruptionError, IdentityMismatchError, UnsupportedFormatError } from "./errors.ts";
import { type FileSystem, readFileSync, replaceFileSync } from "./file-system.ts";
import { readOrDamage } from "./page-read.ts";

export const IDENTITY_FILE = "identity";
const FORMAT_VERSION = 1;
const TEXT = /^raft-kv data directory (\d+)\ncluster ([!-~]+)\nnode (\d+)\nincarnation (\d+)\n/;

export interface IdentityExpectation {
  readonly clusterId: string;
  readonly nodeId: number;
  /** Called once, on the first boot; a number that no earlier life of this node had. */
  readonly mintIncarnation: () => number;
}

export function encodeIdentity(identity: Identity): Buffer {
  const text =
    `raft-kv data directory ${FORMAT_VERSION}\ncluster ${identity.clusterId}\n` +
    `node ${identity.nodeId}\nincarnation ${identity.incarnation}\n`;
  const sum = checksum(Buffer.from(text, "latin1"));
  return Buffer.from(`${text}crc32 ${sum.toString(16).padStart(8, "0")}\n`, "latin1");
}

/** Reads the identity, or makes it in a directory that holds nothing else of ours. */
export function openIdentity(
  fileSystem: FileSystem,
  directory: string,
  expected: IdentityExpectation,
  isOurs: (name: string) => boolean,
): Identity {
  const names = fileSystem.listSync(directory);
  if (names.includes(IDENTITY_FILE)) return readIdentity(fileSystem, directory, expected);
  const path = `${directory}/${IDENTITY_FILE}`;
  const stray = names.find(isOurs);
  if (stray !== undefined) {
    throw new CorruptionError(path, 0, `the identity is missing, though ${stray} exists`);
  }
  const { clusterId, nodeId } = expected;
  const identity = { clusterId, nodeId, incarnation: expected.mintIncarnation() };
  replaceFileSync(fileSystem, directory, IDENTITY_FILE, encodeIdentity(identity));
  return identity;
}

/** Reads the identity of a directory that must have one. */
export function readIdentity(
  fileSystem: FileSystem,
  directory: string,
  expected: IdentityExpectation,
): Identity {
  const path = `${directory}/${IDENTITY_FILE}`;
  const bytes = readOrDamage(path, () => readFileSync(fileSystem, path));
  const identity = decodeIdentity(bytes, path);
  checkIdentity(identity, expected, path);
  return identity;
}

function decodeIdentity(bytes: Buffer, path: string): Identity {
  const match = TEXT.exec(bytes.toString("latin1"));
  const [, version, clusterId, nodeId, incarnation] = match ?? [];
  if (version === undefined || clusterId === undefined) {
    throw new CorruptionError(path, 0, "the identity can not be read");
  }
  const identity = { clusterId, nodeId: Number(nodeId), incarnation: Number(incarnation) };
  if (Number(version) !== FORMAT_VERSION && bytes.length > 0) {
    if (hasValidChecksum(bytes))
      throw new UnsupportedFormatError("directory version", Number(version));
  }
  // One text only says this: any other byte anywhere, in numbers or line ends, is damage.
  if (!encodeIdentity(identity).equals(bytes)) {
    throw new CorruptionError(path, 0, "the identity fails its checksum");
  }
  return identity;
}

function hasValidChecksum(bytes: Buffer): boolean {
  const text = bytes.toString("latin1");
  const at = text.lastIndexOf("crc32 ");
  return Number.parseInt(text.slice(at + 6), 16) === checksum(bytes.subarray(0, Math.max(at, 0)));
}

function checkIdentity(found: Identity, expected: IdentityExpectation, path: string): void {
  if (found.clusterId !== expected.clusterId) {
    const reason = `cluster ${found.clusterId}, not of ${expected.clusterId}`;
    throw new IdentityMismatchError(`${path}: this directory is of ${reason}`);
  }
  if (found.nodeId !== expected.nodeId) {
    const reason = `node ${found.nodeId}, not of node ${expected.nodeId}`;
    throw new IdentityMismatchError(`${path}: this directory is of ${reason}`);
  }
}
