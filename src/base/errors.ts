/**
 * The named errors of this package. Wrong types and shapes are
 * `TypeError`, wrong values `RangeError`; files and devices have their own.
 *
 * @module
 */

import { visible } from "./_escape.ts";

/**
 * A file or folder that cannot be read as the data it should be.
 *
 * @example The message names the file, what was found and what was expected
 * ```ts
 * import { DatasetError } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const error = new DatasetError("train.idx", "magic number 7", "magic number 2051");
 * assert.equal(error.message, "Cannot read train.idx: found magic number 7, wanted magic number 2051");
 * ```
 */
export class DatasetError extends Error {
  /** The name of this kind of error. */
  override readonly name = "DatasetError";
  /** The file or folder, as the caller wrote it. */
  readonly file: string;
  /** What was found there. */
  readonly found: string;
  /** What was expected instead. */
  readonly expected: string;

  /**
   * Makes the error and its message.
   *
   * @param file The file or folder, as the caller wrote it.
   * @param found What was found there.
   * @param expected What was expected instead.
   * @param options The underlying error, as `cause`.
   */
  constructor(
    file: string,
    found: string,
    expected: string,
    options?: ErrorOptions,
  ) {
    super(visible(`Cannot read ${file}: found ${clip(found)}, wanted ${clip(expected)}`), options);
    this.file = file;
    this.found = found;
    this.expected = expected;
  }
}

/** Names and numbers of a file may be as long as the file; a message is a line. */
function clip(text: string): string {
  return text.length > 1000 ? `${text.slice(0, 1000)}…` : text;
}

/**
 * A file that cannot be written: a full disk, a read-only folder.
 *
 * @example The message names the file and what the system says
 * ```ts
 * import { WriteError } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const cause = new Deno.errors.PermissionDenied("Permission denied (os error 13): open '/out/x'");
 * assert.equal(new WriteError("out/x", cause).message, "Cannot write out/x: Permission denied (os error 13)");
 * ```
 */
export class WriteError extends Error {
  /** The name of this kind of error. */
  override readonly name = "WriteError";
  /** The file, as the caller wrote it. */
  readonly file: string;

  /**
   * Makes the error and its message.
   *
   * @param file The file, as the caller wrote it.
   * @param cause The error of the system.
   */
  constructor(file: string, cause: Error) {
    const reason = cause.message.replace(/(\(os error \d+\)).*$/s, "$1");
    super(visible(`Cannot write ${file}: ${reason}`), { cause });
    this.file = file;
  }
}

/**
 * A computing device that is not there, was lost, or refused its work.
 *
 * @example
 * ```ts
 * import { DeviceError } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(new DeviceError("no adapter").name, "DeviceError");
 * ```
 */
export class DeviceError extends Error {
  /** The name of this kind of error. */
  override readonly name = "DeviceError";
}
