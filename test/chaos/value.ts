/**
 * Values that are written: a short label, which the history shows, and the bytes it stands for.
 * `c1-7` is itself; `c1-7~6000` stands for six thousand bytes more.
 */

export function contentOf(label: string): string {
  return label + paddingOf(label);
}

/** The label of a content; a content that is nobody's is shown as it is. */
export function labelOf(content: unknown): string {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const label = /^[\w-]+(?:~\d+)?/u.exec(text)?.[0];
  return label !== undefined && contentOf(label) === text ? label : text;
}

function paddingOf(label: string): string {
  const bytes = Number(/~(\d+)$/u.exec(label)?.[1] ?? 0);
  return ".".repeat(bytes);
}
