/** A configuration as bytes: in configuration entries and in snapshot headers. */
import type { Configuration, Member, MemberRole } from "../raft/index.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { MalformedError } from "./errors.ts";

const ROLE_VOTER = 1;
const ROLE_LEARNER = 2;
const MEMBERS_MAX = 1024;

export function writeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  writer.uint32(configuration.members.length);
  for (const member of configuration.members) {
    writer.uint64(member.id);
    writer.uint64(member.incarnation);
    writer.uint8(member.role === "voter" ? ROLE_VOTER : ROLE_LEARNER);
    writer.string(member.peerAddress);
    writer.string(member.clientAddress);
  }
}

export function readConfiguration(reader: ByteReader): Configuration {
  const count = reader.uint32();
  if (count > MEMBERS_MAX) throw new MalformedError(`${count} members are too many`);
  const members: Member[] = [];
  for (let i = 0; i < count; i += 1) {
    members.push({
      id: reader.uint64(),
      incarnation: reader.uint64(),
      role: memberRole(reader.uint8()),
      peerAddress: reader.string(),
      clientAddress: reader.string(),
    });
  }
  return { members };
}

function memberRole(code: number): MemberRole {
  if (code === ROLE_VOTER) return "voter";
  if (code === ROLE_LEARNER) return "learner";
  throw new MalformedError(`${code} is no member role`);
}
