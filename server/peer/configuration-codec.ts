/** The bytes of members, configurations and snapshot metadata in peer frames. */
import type { Configuration, Member, MemberRole, SnapshotMetadata } from "../../raft/index.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { PeerProtocolError } from "./errors.ts";

/** Positions are the wire format: add at the end only. */
const ROLES: readonly MemberRole[] = ["voter", "learner"];
/** A host name is at most 253 characters; with a port it stays far below this. */
const ADDRESS_BYTES_MAX = 512;
const MEMBERS_MAX = 1024;
/** Id, incarnation, role, and two empty addresses. */
const MEMBER_BYTES_MIN = 8 + 8 + 1 + 4 + 4;

export function writeMember(writer: ByteWriter, member: Member): void {
  writer.uint(member.id);
  writer.uint(member.incarnation);
  writer.u8(ROLES.indexOf(member.role));
  writer.text(member.peerAddress);
  writer.text(member.clientAddress);
}

export function readMember(reader: ByteReader): Member {
  return {
    id: reader.uint(),
    incarnation: reader.uint(),
    role: reader.choice(ROLES),
    peerAddress: reader.text(ADDRESS_BYTES_MAX),
    clientAddress: reader.text(ADDRESS_BYTES_MAX),
  };
}

export function writeSnapshotMetadata(writer: ByteWriter, metadata: SnapshotMetadata): void {
  writer.uint(metadata.term);
  writer.uint(metadata.index);
  writer.uint(metadata.group);
  writer.uint(metadata.time);
  writer.uint(metadata.configurationIndex);
  writer.uint(metadata.entryChecksum);
  writer.u32(metadata.configuration.members.length);
  for (const member of metadata.configuration.members) writeMember(writer, member);
}

export function readSnapshotMetadata(reader: ByteReader): SnapshotMetadata {
  return {
    term: reader.uint(),
    index: reader.uint(),
    group: reader.uint(),
    time: reader.uint(),
    configurationIndex: reader.uint(),
    entryChecksum: reader.uint(),
    configuration: readConfiguration(reader),
  };
}

function readConfiguration(reader: ByteReader): Configuration {
  const count = reader.count(MEMBER_BYTES_MIN);
  if (count > MEMBERS_MAX) throw new PeerProtocolError("a configuration has too many members");
  const members: Member[] = [];
  for (let at = 0; at < count; at += 1) members.push(readMember(reader));
  return { members };
}
