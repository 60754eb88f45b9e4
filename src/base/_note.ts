/** What a reader decides by a rule of its own, in one line for people to read. */

import { visible } from "./_escape.ts";

const told = new Set<string>();

/**
 * Tells a line, by default on the standard error of the process or the console of a page, where it is told once.
 *
 * @param line The line.
 * @param onNote Who is told instead, each time.
 */
export function note(line: string, onNote?: (line: string) => void): void {
  if (onNote) return onNote(line);
  if (told.has(line)) return;
  told.add(line);
  console.error(visible(line));
}
