/** The lines of a text, one after the other: as an array, those of a text of nothing but line ends fill the memory. */
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";

/** Characters of a line: its fields have to fit in memory at once. */
const MOST_LINE = 2 ** 24;
/** Characters between two turns of others. */
const TURN = 2 ** 16;

/**
 * Visits each line that is not empty.
 *
 * @param text The text. Its lines end with a line feed, a carriage return, or both.
 * @param file The file's name, for messages.
 * @param visit Receives a line and its number, from 1; ends the visit by returning false.
 */
export function* eachLine(
  text: string,
  file: string,
  visit: (content: string, line: number) => boolean | void,
): Interruptible<void> {
  let feed = -1, carriage = -1, heard = 0;
  for (let at = 0, line = 1; at < text.length; line++) {
    // Looked for again only where it was passed: else a text without one of them would be searched once per line.
    if (feed < at) feed = placeOf(text, "\n", at);
    if (carriage < at) carriage = placeOf(text, "\r", at);
    const end = Math.min(feed, carriage);
    if (end - at > MOST_LINE) {
      throw new DatasetError(
        file,
        `${(end - at).toLocaleString("en")} characters in line ${line}`,
        `at most ${MOST_LINE.toLocaleString("en")}`,
      );
    }
    if (end > at && visit(text.slice(at, end), line) === false) return;
    at = feed === carriage + 1 ? feed + 1 : end + 1;
    if (at - heard < TURN) continue;
    heard = at;
    yield;
  }
}

function placeOf(text: string, mark: string, from: number): number {
  const place = text.indexOf(mark, from);
  return place < 0 ? text.length : place;
}
