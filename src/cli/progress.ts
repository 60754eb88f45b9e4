/**
 * Progress on a terminal: a bar that is redrawn, or the four quarters as lines.
 *
 * @module
 */
import type { Progress } from "../base/progress.ts";

/** Where progress is written. */
export interface ProgressOutput {
  /** Whether lines can be redrawn. */
  readonly terminal: boolean;
  /** Writes text. */
  write(text: string): void;
}

/** Standard error. */
export function standardError(): ProgressOutput {
  return {
    terminal: Deno.stderr.isTerminal(),
    write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
  };
}

/**
 * A progress callback for a terminal or a log.
 *
 * @param output Where to write.
 * @returns The callback, for `sample({ onProgress })`.
 */
export function terminalProgress(output: ProgressOutput): (progress: Progress) => void {
  let quarter = 0;
  return ({ fraction, done, total, sigma, elapsed, remaining }) => {
    const left = done === total
      ? `took ${seconds(elapsed)}`
      : remaining === undefined
      ? ""
      : `${seconds(remaining)} left`;
    const facts = `${done}/${total} steps, sigma ${Number(sigma.toPrecision(3))}, ${left}`;
    if (output.terminal) {
      const filled = Math.round(fraction * 30);
      const bar = "█".repeat(filled) + "·".repeat(30 - filled);
      output.write(`\r\x1b[K${bar} ${facts}${done === total ? "\n" : ""}`);
    } else if (Math.floor(fraction * 4) > quarter) {
      quarter = Math.floor(fraction * 4);
      output.write(`${Math.round(fraction * 100)} %: ${facts}\n`);
    }
  };
}

/** A duration in the unit that suits it. */
export function seconds(s: number): string {
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${(s / 3600).toFixed(1)} h`;
}
