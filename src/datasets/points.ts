/**
 * Points from text files, one per line.
 *
 * @module
 */
import { DatasetError } from "../errors.ts";
import { checkLimit } from "./_checks.ts";
import { readText } from "./_files.ts";
import { parseNumber } from "./_text.ts";
import { Dataset } from "./dataset.ts";
import type { ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readCsv}. */
export interface CsvOptions extends ReadOptions {
  /** Whether the first line names the columns. Default `"auto"`: if each of its fields begins with a letter. */
  readonly header?: boolean | "auto";
  /** The data set's name. Default: the path. */
  readonly name?: string;
}

/**
 * Reads points from a text file, one row of numbers per line, gzipped or not.
 *
 * Fields are separated by commas, semicolons or white space, whichever of them,
 * in this order, is in the first row. Blank lines and lines that begin with `#` are skipped.
 *
 * @param path The file.
 * @param options Header, name, limit.
 * @returns `N` points of shape `[d]` in float32.
 * @throws {DatasetError} If the file is missing or empty, a field is no finite number of float32, or rows differ in
 * length; names the line.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`.
 *
 * @example
 * ```ts
 * import { readCsv } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".csv" });
 * await Deno.writeTextFile(file, "x,y\n1,2\n-0.5,1e-3\n");
 * const set = await readCsv(file);
 * assert.deepEqual([...set.data], [1, 2, -0.5, Math.fround(1e-3)]);
 * await Deno.remove(file);
 * ```
 */
export async function readCsv(
  path: string,
  options: CsvOptions = {},
): Promise<Dataset> {
  const { header = "auto", name = path, signal } = options;
  const limit = checkLimit(options.limit);
  const lines = (await readText(path, signal)).split(/\r?\n/);
  const values: number[] = [];
  let separator: RegExp | string | undefined;
  let width = 0;
  for (const [k, line] of lines.entries()) {
    const text = line.trim();
    if (text === "" || text[0] === "#") continue;
    const first = separator === undefined;
    separator ??= text.includes(",") ? "," : text.includes(";") ? ";" : /\s+/;
    const fields = text.split(separator).map((field) => field.trim());
    if (first && isHeader(fields, header)) continue;
    width ||= fields.length;
    addRow(values, fields, width, path, k + 1);
    if (values.length / width === limit) break;
  }
  if (width === 0) {
    throw new DatasetError(path, "no row of numbers", "at least one");
  }
  options.onProgress?.(values.length / width, values.length / width);
  return new Dataset({
    data: Float32Array.from(values),
    shape: [width],
    name,
  });
}

function isHeader(fields: string[], header: boolean | "auto"): boolean {
  return header === "auto" ? fields.every((field) => /^["']?[\p{L}_]/u.test(field)) : header;
}

function addRow(
  values: number[],
  fields: string[],
  width: number,
  path: string,
  line: number,
): void {
  if (fields.length !== width) {
    throw new DatasetError(
      path,
      `${fields.length} fields in line ${line}`,
      `${width}, as in the first row`,
    );
  }
  for (const field of fields) {
    const value = Math.fround(parseNumber(field));
    if (!Number.isFinite(value)) {
      throw new DatasetError(
        path,
        `${JSON.stringify(field.slice(0, 40))} in line ${line}`,
        "a finite number",
      );
    }
    values.push(value);
  }
}
