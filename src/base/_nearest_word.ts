/** The word that was meant by one that does not exist. */

/** Letters of a prefix from which on it stands for the whole word, such as `tol`. */
const LEAST_PREFIX = 3;

/**
 * The nearest of some words: written differently (`sigma_max`), begun (`tol`), or with a third of its letters wrong at most.
 *
 * @param word The word that does not exist.
 * @param words Those that exist.
 * @returns The nearest, or undefined if none is near.
 */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  const written = plain(word);
  const [found] = words.map((other) => ({ other, away: distance(written, plain(other)) }))
    .filter(({ other, away }) => away <= plain(other).length / 3 || begins(written, plain(other)))
    .sort((a, b) => a.away - b.away);
  return found?.other;
}

/** The letters alone: `sigmaMax`, `sigma_max` and `--sigma-max` are one word. */
function plain(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}

function begins(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.length >= LEAST_PREFIX && long.startsWith(short);
}

/** How many letters are to be added, left out, changed, or swapped with the next: optimal string alignment. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2] + 1 : Infinity;
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, changed, swapped));
    }
    [before, row] = [row, next];
  }
  return row[b.length];
}
