/** The help texts of the client commands. */
export type CommandName = "get" | "put" | "del" | "list" | "status";

const COMMON = `
Options of every client command:
  -e, --endpoint ADDRESS  a node, host:port or URL; repeat for several
                          (RAFT_KV_ENDPOINTS, separated by commas; default
                          127.0.0.1:8001, :8002 and :8003)
  -o, --output FORMAT     text (default) or json (RAFT_KV_OUTPUT)
      --timeout MS        give up after so many milliseconds (RAFT_KV_TIMEOUT_MS; default 5000)
  -h, --help              this text

Exit codes:
  0  done
  1  no such key, or the condition does not hold; nothing was changed
  2  the command line is wrong
  3  not done: no node could be reached, or it was refused; nothing was changed
  4  unknown: a write may have been applied, or may be applied later
`;

const READING = `      --stale             ask any node for what it has now, not for the latest value
      --min-revision N    wait until the node has revision N
`;

const CONDITIONS = `      --if-revision N     only if the key is at revision N
      --if-exists         only if the key exists
`;

const TEXTS: Readonly<Record<CommandName, string>> = {
  get: `Usage: raft-kv get KEY [options]

Prints the value, and a newline if it is text. With -o json: the whole record.

      --raw               the bytes exactly, without a newline
${READING}`,
  put: `Usage: raft-kv put KEY VALUE [options]
       raft-kv put KEY -  [options]      (the value from standard input)

Writes the value and prints its revision. A value that begins with a dash goes after --.

      --json              the value is JSON
${CONDITIONS}      --if-absent         only if the key does not exist
`,
  del: `Usage: raft-kv del KEY [options]

Deletes the key; exit code 1 when there was none.

${CONDITIONS}`,
  list: `Usage: raft-kv list [PREFIX] [options]

Prints keys and values, one pair per line, in the order of the keys' bytes; what would break a
line is escaped. With -o json: one record per line.

      --keys              the keys alone
      --limit N           at most N
${READING}`,
  status: `Usage: raft-kv status [options]

Asks every endpoint how it sees itself and the cluster. Exit code 3 when none knows a leader.
`,
};

export function helpText(command: CommandName): string {
  return TEXTS[command] + COMMON;
}
