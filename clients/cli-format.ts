/** How the command line shows keys, values and status. Pure. */
import type { StatusResponse } from "./contract.ts";
import type { Entry } from "./entry.ts";
import type { Key } from "./key.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined when the bytes are not text. */
export function asText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** On one line, whatever is in it, and safe for a terminal. */
export function oneLine(value: Key): string {
  const text = typeof value === "string" ? value : asText(value);
  if (text !== undefined) return text.replaceAll(/[\p{Cc}\\\u2028\u2029]/gu, escapeCharacter);
  const bytes = typeof value === "string" ? new Uint8Array() : value;
  return Array.from(bytes, escapeByte).join("");
}

export function oneLineEntry(entry: Entry): string {
  const value = entry.type === "json" ? JSON.stringify(entry.value) : oneLine(entry.value);
  return `${oneLine(entry.key)}\t${value}`;
}

/** For `-o json`: bytes as base64, said so beside them, as the HTTP interface does. */
export function jsonEntry(entry: Entry): string {
  const { revision, createRevision, version, type } = entry;
  const value = entry.type === "binary" ? toBase64(entry.value) : entry.value;
  return JSON.stringify({
    ...jsonKey(entry.key),
    value,
    type,
    revision,
    createRevision,
    version,
  });
}

export function jsonKey(key: Key): { readonly key: string; readonly keyEncoding?: "base64" } {
  return typeof key === "string" ? { key } : { key: toBase64(key), keyEncoding: "base64" };
}

export type NodeReport =
  | { readonly endpoint: string; readonly status: StatusResponse }
  | { readonly endpoint: string; readonly error: string };

export function statusTable(reports: readonly NodeReport[]): string {
  const head = ["ENDPOINT", "NODE", "ROLE", "TERM", "LEADER", "REVISION", "APPLIED", "UP"];
  const rows = reports.map((report) => {
    if ("error" in report) return [report.endpoint, "-", "unreachable"];
    const { nodeId, state, role, term, leader, revision, lastApplied, uptimeMs } = report.status;
    const up = `${Math.floor(uptimeMs / 1_000)}s`;
    const part = state === "running" ? role : state;
    return [report.endpoint, nodeId, part, term, leader ?? "none", revision, lastApplied, up];
  });
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => width(row[column]))));
  const lines = cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

function width(cell: string | undefined): number {
  return cell?.length ?? 0;
}

function escapeCharacter(character: string): string {
  if (character === "\\") return "\\\\";
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  const code = character.codePointAt(0) ?? 0;
  return code < 0x80 ? escapeByte(code) : `\\u${code.toString(16).padStart(4, "0")}`;
}

function escapeByte(byte: number): string {
  if (byte > 0x20 && byte < 0x7f && byte !== 0x5c) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
