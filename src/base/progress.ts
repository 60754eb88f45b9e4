/**
 * How far a run has come, in one line that is kept up to date.
 *
 * @module
 */
import { type OptionTable, readOptions } from "./_options.ts";
import { kernelDisplay, seconds, SETTLE } from "./front_end.ts";
import type { Display } from "./front_end.ts";

/** How far a run has come. */
export interface Progress {
  /** Share of the work that is done, 0 to 1. */
  readonly fraction: number;
  /** Steps of the grid that were passed, over all batches. */
  readonly done: number;
  /** Steps of the grid in all, over all batches. */
  readonly total: number;
  /** The noise level reached. */
  readonly sigma: number;
  /** Seconds since the start. */
  readonly elapsed: number;
  /** Seconds left, as far as can be told; unknown before the first step. */
  readonly remaining: number | undefined;
}

/** Options of {@linkcode notebookProgress}. */
export interface NotebookProgressOptions {
  /** Where to show it. Default: the notebook's front end, or the console where there is none. */
  readonly display?: Display;
}

/** Milliseconds between two updates: more often than this nobody sees. */
const UPDATE = 100;

const PROGRESS_OPTIONS = { display: undefined } satisfies OptionTable<NotebookProgressOptions>;

/**
 * A progress callback for `sample()` that updates one line in place: a bar, the
 * step, the noise level, the time gone and the time left. On a
 * terminal it redraws one line, elsewhere it prints a line per quarter. Without it, `sample()` is silent.
 *
 * @param label What is going on, in a word or two.
 * @param options Where to show it.
 * @returns A callback; a new one for each run.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { notebookProgress } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const lines: unknown[] = [];
 * const display = (bundle: Record<string, unknown>) => Promise.resolve(void lines.push(bundle["text/plain"]));
 * const onProgress = notebookProgress("sampling", { display });
 * await onProgress({ fraction: 1, done: 10, total: 10, sigma: 0, elapsed: 2.5, remaining: 0 });
 * assert.deepEqual(lines, ["sampling ████████████████████ 100 % · step 10 of 10 · σ 0 · 2.5 s"]);
 * ```
 */
export function notebookProgress(
  label: string,
  options: NotebookProgressOptions = {},
): (progress: Progress) => Promise<void> {
  const { display = kernelDisplay() } = readOptions(
    "show the progress",
    options,
    PROGRESS_OPTIONS,
  );
  if (display) return updatingProgress(label, display);
  return Deno.stderr.isTerminal() ? redrawnProgress(label) : printedProgress(label);
}

function updatingProgress(
  label: string,
  display: Display,
): (progress: Progress) => Promise<void> {
  const id = `progress-${crypto.randomUUID()}`;
  let last = -Infinity;
  return async (progress) => {
    const now = performance.now();
    if (progress.fraction < 1 && now - last < UPDATE) return;
    await display(
      { "text/plain": progressLine(label, progress) },
      { raw: true, display_id: id, update: last > -Infinity },
    );
    last = now;
    // Only the end is at risk of coming after the end of the cell.
    if (progress.fraction >= 1) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE));
    }
  };
}

function redrawnProgress(label: string): (progress: Progress) => Promise<void> {
  const write = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  return (progress) => {
    write(`\r\x1b[K${progressLine(label, progress)}${progress.fraction < 1 ? "" : "\n"}`);
    return Promise.resolve();
  };
}

function printedProgress(
  label: string,
): (progress: Progress) => Promise<void> {
  let quarter = 0;
  return (progress) => {
    const reached = Math.floor(progress.fraction * 4);
    if (reached > quarter) console.log(progressLine(label, progress));
    quarter = Math.max(quarter, reached);
    return Promise.resolve();
  };
}

function progressLine(label: string, progress: Progress): string {
  const { fraction, done, total, sigma, elapsed, remaining } = progress;
  const full = Math.round(20 * fraction);
  const bar = "█".repeat(full) + "░".repeat(20 - full);
  const left = fraction < 1 && remaining !== undefined ? `, ${seconds(remaining)} left` : "";
  return `${label} ${bar} ${Math.round(100 * fraction)} % · step ${done} of ` +
    `${total} · σ ${Number(sigma.toPrecision(3))} · ${seconds(elapsed)}${left}`;
}

/** A line about long work, which ends with it, however that ends. */
export interface LateProgress extends Disposable {
  /** Brings the line up to date. */
  tell(progress: Progress): Promise<void>;
}

/** Seconds after which work tells how far it has come. */
const LONG = 2;

/**
 * A progress callback that is silent for two seconds, and then keeps one line up to date, in a notebook or on a terminal.
 *
 * @param label What is going on, in a word or two.
 * @returns The line; nothing where nobody looks. Dispose it at the end of the work.
 */
export function lateProgress(label: string): LateProgress | undefined {
  const display = typeof Deno === "object" ? kernelDisplay() : undefined;
  if (!display && !(typeof Deno === "object" && Deno.stderr.isTerminal())) return undefined;
  const tell = display ? updatingProgress(label, display) : redrawnProgress(label);
  let open = false;
  return {
    async tell(progress) {
      if (!open && (progress.elapsed < LONG || progress.fraction >= 1)) return;
      open = progress.fraction < 1;
      await tell(progress);
    },
    [Symbol.dispose]() {
      // What comes next begins a line of its own.
      if (open && !display) Deno.stderr.writeSync(new TextEncoder().encode("\n"));
      open = false;
    },
  };
}
