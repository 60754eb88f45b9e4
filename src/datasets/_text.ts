/** Text and the numbers in it, read strictly. */
import { DatasetError } from "../base/errors.ts";

// Each digit can be matched in one way only: else a long word that is no number takes time quadratic in its length.
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** The decimal number that a word is; NaN if it is none, or "NaN", "Infinity", hexadecimal and the like. */
export function parseNumber(word: string): number {
  return NUMBER.test(word) ? Number(word) : NaN;
}

/** Text from bytes in UTF-8. */
export function decodeText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DatasetError(
      file,
      "bytes that are no UTF-8 text",
      "a text file",
      { cause },
    );
  }
}
