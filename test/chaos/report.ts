/** A run of chaos for people: a line for each episode, and the figures in the end. */
import type { Episode } from "./episode.ts";
import type { ChaosReport } from "./run.ts";

export function describeEpisode(episode: Episode): string {
  const { number, texts, lastedMs, silenceMs, writeAfterMs, readyAfterMs } = episode;
  const what = texts.join(" + ").padEnd(56);
  const times = [lastedMs, silenceMs, writeAfterMs, readyAfterMs].map((ms) =>
    ms.toFixed(0).padStart(6),
  );
  return `${String(number).padStart(4)}  ${what} ${times.join(" ")}`;
}

export const EPISODE_HEAD = `   #  ${"what happens (times in ms)".padEnd(56)}  lasts silent  write  ready`;

interface KindFigures {
  episodes: number;
  fired: number;
  /** Of the episodes in which nothing else happened. */
  readonly silenceMs: number[];
  readonly writeAfterMs: number[];
  readonly readyAfterMs: number[];
}

/** By kind: how often it happened, how often it really did something, and what it cost. */
export function describeKinds(episodes: readonly Episode[]): readonly string[] {
  const byKind = new Map<string, KindFigures>();
  for (const { kinds, fired, silenceMs, writeAfterMs, readyAfterMs } of episodes) {
    for (const [index, kind] of kinds.entries()) {
      const figures = byKind.get(kind) ?? {
        episodes: 0,
        fired: 0,
        silenceMs: [],
        writeAfterMs: [],
        readyAfterMs: [],
      };
      byKind.set(kind, figures);
      figures.episodes += 1;
      figures.fired += fired[index] ?? 0;
      if (kinds.length > 1) continue;
      figures.silenceMs.push(silenceMs);
      figures.writeAfterMs.push(writeAfterMs);
      figures.readyAfterMs.push(readyAfterMs);
    }
  }
  const head = `${"fault".padEnd(14)} episodes   fired   no writes for (median, worst)   first write after (ms)   all ready after (ms)`;
  const lines = [...byKind]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, figures]) =>
      [
        kind.padEnd(14),
        String(figures.episodes).padStart(8),
        String(figures.fired).padStart(7),
        spread(figures.silenceMs).padStart(31),
        spread(figures.writeAfterMs).padStart(24),
        spread(figures.readyAfterMs).padStart(22),
      ].join(" "),
    );
  return [head, ...lines];
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return "-";
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return `${median.toFixed(0)}, ${(sorted.at(-1) ?? 0).toFixed(0)}`;
}

export function describeReport(report: ChaosReport): readonly string[] {
  const { episodes, longestSilence, violations } = report;
  const faults = episodes.reduce((sum, { kinds }) => sum + kinds.length, 0);
  const kills = killsIn(episodes);
  return [
    "",
    ...describeKinds(episodes),
    "",
    `${faults} faults in ${episodes.length} episodes, ${kills} processes killed with -9`,
    `${report.operations} operations: ${report.acknowledged} writes acknowledged, ` +
      `${report.unknown} of unknown outcome, ${report.failed} certainly without effect`,
    `${report.keys} keys at revision ${report.revision}, the same on all nodes; ` +
      `${report.keysOnce} written once, each verified`,
    `${report.elections} terms with a leader seen in ${report.samples} looks at the nodes, ` +
      `${report.hashesCompared} state hashes compared`,
    `the longest time without an acknowledged write: ${longestSilence.lastedMs.toFixed(0)} ms, ` +
      `in episode ${quietest(episodes)?.number ?? 0}`,
    report.verdict.split("\n")[0] ?? "",
    ...violations.map((text) => `VIOLATED: ${text}`),
  ];
}

function quietest(episodes: readonly Episode[]): Episode | undefined {
  return episodes.toSorted((a, b) => b.silenceMs - a.silenceMs)[0];
}

const KILLING: ReadonlySet<string> = new Set(["kill", "kill-leader", "kill-all", "restart-storm"]);

export function killsIn(episodes: readonly Episode[]): number {
  let kills = 0;
  for (const { kinds, fired } of episodes) {
    kinds.forEach((kind, index) => {
      if (KILLING.has(kind)) kills += fired[index] ?? 0;
    });
  }
  return kills;
}
