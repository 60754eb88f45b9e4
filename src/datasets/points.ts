/**
 * Points from text files, one per line.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../_options.ts";
import { DatasetError } from "../errors.ts";
import { note } from "../_note.ts";
import { checkLimit, checkOneOf } from "./_checks.ts";
import { readText } from "./_files.ts";
import { isName, isNumber, parseTable, type Row, type Table } from "./_table.ts";
import { parseNumber } from "./_text.ts";
import { Dataset } from "./dataset.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readCsv}. */
export interface CsvOptions extends ReadOptions {
  /**
   * Whether the first line names the columns. Default `"auto"`: if it has text where the next line has numbers, or nothing
   * but text, or if only its first field is empty.
   */
  readonly header?: boolean | "auto";
  /** Whether the first column counts or names the rows, and is left out. Default: if its name in the header is empty. */
  readonly index?: boolean;
  /**
   * The column of labels, by its name or its place from 0; `false` for none. Default: the one column of text, or that
   * named `label`, `class`, `target` or `species` if its numbers are whole.
   */
  readonly labels?: string | number | false;
  /** What stands before the decimals. Default: a comma if semicolons or tabs separate fields and no number has a point. */
  readonly decimal?: "." | ",";
  /** The data set's name. Default: the path. */
  readonly name?: string;
}

const OPTIONS = {
  ...READ_OPTIONS,
  header: undefined,
  index: undefined,
  labels: undefined,
  decimal: undefined,
  name: undefined,
} satisfies OptionTable<CsvOptions>;

/**
 * Reads points from a text file, one row of numbers per line, gzipped or not.
 *
 * Fields are separated by semicolons, tabs, commas, bars or white space, whichever of them, in this order, is in the
 * first row; they may stand in quotes. Blank lines and lines that begin with `#` are skipped, and so is a first line of
 * one whole number before rows of several, which counts them. What is found is told in one line.
 *
 * @param path The file.
 * @param options Header, index, labels, decimals, name, limit.
 * @returns `N` points of shape `[d]` in float32, with labels if there is a column of them.
 * @throws {DatasetError} If the file is missing or empty, a field is no finite number of float32, or rows differ in
 * length; names the line.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`, or there is no such column of labels.
 * @throws {TypeError} If there is no such option.
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
  checkOptionNames(`read ${path}`, options, OPTIONS);
  const { name = path, signal } = options;
  checkOneOf(`read ${path}`, "header", options.header, [true, false, "auto", undefined]);
  checkOneOf(`read ${path}`, "decimal", options.decimal, [".", ",", undefined]);
  const limit = checkLimit(options.limit);
  const table = parseTable(await readText(path, signal), path, options);
  const rows = table.rows.slice(0, limit);
  if (rows.length === 0) throw new DatasetError(path, "no row of numbers", "at least one");
  const first = rows[0].cells();
  const { index, label } = columnsOf({ ...table, rows }, first, options, path);
  const columns = [...first.keys()].filter((k) => k !== index && k !== label);
  if (columns.length === 0) throw new DatasetError(path, "no column of numbers", "at least one");
  const data = new Float32Array(rows.length * columns.length);
  const texts: string[] = [];
  rows.forEach(({ cells, line }, i) => {
    const row = cells();
    if (row.length !== first.length) {
      throw new DatasetError(
        path,
        `${row.length} fields in line ${line}`,
        `${first.length}, as in the first row`,
      );
    }
    for (let c = 0, at = i * columns.length; c < columns.length; c++, at++) {
      data[at] = numberOf(row[columns[c]], line, table.header?.[columns[c]], path);
    }
    if (label !== undefined) texts.push(labelText(row[label], line, path));
  });
  const classes = label === undefined ? {} : labelsOf(texts);
  note(`${path}: ${found(table, first, rows.length, { index, label })}`, options.onNote);
  options.onProgress?.(rows.length, rows.length);
  return new Dataset({ data, shape: [columns.length], name, ...classes });
}

/** The columns that are no coordinates. */
interface Columns {
  readonly index?: number;
  readonly label?: number;
}

/** Names of columns that hold classes. */
const LABEL = /^(label|class|target|species)s?$/i;

function columnsOf(
  { header, rows }: Table,
  first: readonly string[],
  options: CsvOptions,
  path: string,
): Columns {
  const hasIndex = options.index ?? header?.[0] === "";
  const index = hasIndex ? 0 : undefined;
  if (options.labels === false) return { index };
  if (options.labels !== undefined) {
    const label = typeof options.labels === "number"
      ? options.labels
      : header?.indexOf(options.labels) ?? -1;
    if (label in first) return { index, label };
    const columns = header?.join(", ") ?? `numbers below ${first.length}`;
    throw new RangeError(
      `Cannot read ${path}: the labels are column ${options.labels}, wanted one of ${columns}`,
    );
  }
  const places = [...first.keys()].filter((k) => k !== index);
  const named = places.filter((k) => LABEL.test(header?.[k] ?? "") && isClasses(rows, k));
  const text = places.filter((k) => isName(first[k]));
  const labels = [...new Set([...named, ...text])];
  if (labels.length > 1) {
    const names = labels.map((k) => header?.[k] ?? k + 1).join(", ");
    throw new DatasetError(
      path,
      `columns ${names} of text or named as labels in line ${rows[0].line}`,
      "one at most, or the option labels",
    );
  }
  return { index, label: labels[0] };
}

/** Whether all numbers of a column are whole, as those of classes are and those of a regression are not. */
function isClasses(rows: readonly Row[], column: number): boolean {
  return rows.every(({ cells }) => {
    const cell = cells()[column] ?? "";
    return !isNumber(cell) || Number.isInteger(Number(cell));
  });
}

function labelText(text: string, line: number, path: string): string {
  if (text !== "" && (!isNumber(text) || Number.isFinite(Number(text)))) return text;
  throw new DatasetError(path, `${JSON.stringify(text)} in line ${line}`, "a label for each row");
}

/** Whole numbers from 0 are the labels themselves; all else are the names of classes, in order. */
function labelsOf(texts: readonly string[]): { labels: Uint32Array; classNames?: string[] } {
  if (texts.every((text) => /^\d{1,5}(\.0*)?$/.test(text))) {
    return { labels: Uint32Array.from(texts, Number) };
  }
  const numeric = texts.every(isNumber);
  const classNames = [...new Set(texts)].sort(
    numeric ? (a, b) => Number(a) - Number(b) : undefined,
  );
  const places = new Map(classNames.map((text, k) => [text, k]));
  return { labels: Uint32Array.from(texts, (text) => places.get(text)!), classNames };
}

function numberOf(cell: string, line: number, name: string | undefined, path: string): number {
  const value = Math.fround(parseNumber(cell));
  if (Number.isFinite(value)) return value;
  const column = name ? `, column ${name}` : "";
  throw new DatasetError(
    path,
    `${JSON.stringify(cell.slice(0, 40))} in line ${line}${column}`,
    "a finite number",
  );
}

const MARKS: Readonly<Record<string, string>> = {
  ",": "commas",
  ";": "semicolons",
  "\t": "tabs",
  "|": "bars",
  " ": "white space",
};

/** What was found, in one line. */
function found(
  { header, counted, separator, decimal }: Table,
  first: readonly string[],
  count: number,
  { index, label }: Columns,
): string {
  const nameOf = (k: number) => header?.[k] ? `column ${header[k]}` : `column ${k + 1}`;
  const numbered = !header && first.length > 1 && first.every((cell, k) => cell === String(k));
  return [
    `${count} ${count === 1 ? "row" : "rows"} separated by ${MARKS[separator]}`,
    ...(decimal === "," ? ["commas in numbers are decimal"] : []),
    ...(counted === undefined ? [] : [`after a line that counts ${counted}`]),
    header ? "after a header" : "without a header",
    ...(numbered ? ["the first of which, 0 1 …, may be one"] : []),
    ...(index === undefined ? [] : [`${nameOf(index)} is an index and left out`]),
    ...(label === undefined ? [] : [`${nameOf(label)} is the labels`]),
  ].join(", ");
}
