/**
 * How commands end that fail: with one line on standard error, and an exit code.
 *
 * @module
 */
import { visible } from "../base/_escape.ts";
import { INTERRUPTED } from "./interrupt.ts";
import { standardError } from "./progress.ts";

/** Nothing but the user can mend it. */
const UNUSABLE = 2;
const FAILED = 1;

/** How the engine says that there is no more memory, whatever asked for it. */
const NO_MEMORY = /^(Array buffer allocation failed|Invalid (typed )?array length|Out of memory)/i;

/**
 * Says why a command ends.
 *
 * @param error What it threw.
 * @param unusable Whether that is for the user to mend: options or data that cannot be used.
 * @param signal What may have interrupted it.
 * @returns The exit code.
 */
export function complain(error: unknown, unusable: boolean, signal?: AbortSignal): number {
  // A bar may stand on the line.
  if (Deno.stderr.isTerminal()) standardError().write("\r\x1b[K");
  console.error(signal?.aborted ? "Interrupted: nothing was written" : messageOf(error));
  return signal?.aborted ? INTERRUPTED : unusable ? UNUSABLE : FAILED;
}

function messageOf(error: unknown): string {
  const found = error instanceof Error ? error.message : String(error);
  const message = NO_MEMORY.test(found)
    ? `Cannot hold the run in memory: ${found}, wanted fewer samples, draws or items`
    : found;
  return visible(message.replaceAll(/\s*\n\s*/g, " "));
}
