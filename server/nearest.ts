/** Which known name a person most likely meant: for error messages only. */

/** Spelling mistakes that still point to one name: about one in three letters. */
const DISTANCE_PER_LETTER_MAX = 1 / 3;

/** The known name closest to what was typed; undefined when none is close. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(typed.length * DISTANCE_PER_LETTER_MAX)) + 1;
  for (const name of known) {
    // A name that was cut short or carried on is close, however many letters are missing.
    const isPart = typed.length > 4 && (name.startsWith(typed) || typed.startsWith(name));
    const distance = isPart ? 1 : editDistance(typed, name);
    if (distance >= bestDistance) continue;
    best = name;
    bestDistance = distance;
  }
  return best;
}

/** Levenshtein: how many letters to insert, remove or replace. */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const replaced = (previous[column - 1] ?? 0) + (isSame ? 0 : 1);
      const removed = (previous[column] ?? 0) + 1;
      const inserted = (current[column - 1] ?? 0) + 1;
      current.push(Math.min(replaced, removed, inserted));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
