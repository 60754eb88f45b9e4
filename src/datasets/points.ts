/**
 * Points from text files, one per line.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { DatasetError } from "../base/errors.ts";
import { note } from "../base/_note.ts";
import { type Interruptible, inTurns } from "../base/_turns.ts";
import { checkLimit, checkOneOf } from "./_checks.ts";
import { readText } from "./_files.ts";
import { isName, isNumber, LABEL, parseTable, type Table } from "./_table.ts";
import { parseNumber } from "./_text.ts";
import { Dataset, type DatasetInit } from "./dataset.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readCsv}. */
export interface CsvOptions extends ReadOptions {
  /**
   * Whether the first line names the columns. Default `"auto"`: if it has nothing but text, or text where the next line
   * has numbers, or names after one empty field. Text beside numbers is an error, but for names in quotes, a name of
   * labels, and the numbers 0 1 …
   */
  readonly header?: boolean | "auto";
  /** Whether the first column counts or names the rows, and is left out. Default: if its name in the header is empty, or the
   * header is one field shorter than the rows. */
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
 * @throws {DatasetError} If the file is missing or empty, a field is no finite number of float32, rows differ in
 * length, or the first line may be a header as well as a row; names the line. Also if a line has more than 16,777,216 characters, there are more than 65,536 labels, or a
 * gzipped file becomes more than 50 times as large, and more than 16 MiB.
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
  const text = await readText(path, signal);
  const { said, ...content } = await inTurns(contentOf(text, path, limit, options), signal);
  note(`${path}: ${said}`, options.onNote);
  const set = new Dataset({ ...content, name });
  options.onProgress?.(set.count, set.count);
  return set;
}

/** What a data set is made of, and what was found, in one line. */
interface Content extends Pick<DatasetInit, "data" | "shape"> {
  readonly labels?: Uint32Array;
  readonly classNames?: readonly string[];
  readonly said: string;
}

function* contentOf(
  text: string,
  path: string,
  limit: number,
  options: CsvOptions,
): Interruptible<Content> {
  const table = yield* parseTable(text, path, options);
  const count = Math.min(limit, table.count), first = table.first.cells;
  const special = yield* columnsOf(table, count, options, path);
  const columns = [...first.keys()].filter((k) => k !== special.index && k !== special.label);
  if (columns.length === 0) throw new DatasetError(path, "no column of numbers", "at least one");
  // Each number takes a character at least: where there would be more, a row is shorter than the first one.
  const data = new Float32Array(Math.min(count * columns.length, text.length));
  const labels = special.label === undefined ? undefined : new Labels(count, path);
  yield* table.each(count, ({ cells, line }, i) => {
    if (cells.length !== first.length) {
      throw new DatasetError(
        path,
        `${cells.length} fields in line ${line}`,
        `${first.length}, as in the first row`,
      );
    }
    for (let c = 0, at = i * columns.length; c < columns.length; c++, at++) {
      data[at] = numberOf(cells[columns[c]], line, table.header?.[columns[c]], path);
    }
    labels?.add(cells[special.label!], line);
  });
  const said = found(table, count, special);
  return { data, shape: [columns.length], ...labels?.classes(), said };
}

/** The columns that are no coordinates. */
interface Columns {
  readonly index?: number;
  readonly label?: number;
}

function* columnsOf(
  { header, first: { cells: first, line }, each }: Table,
  count: number,
  options: CsvOptions,
  path: string,
): Interruptible<Columns> {
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
  const likely = places.filter((k) => LABEL.test(header?.[k] ?? ""));
  // Those of a regression are not whole.
  const broken = new Set<number>();
  if (likely.length > 0) {
    yield* each(count, ({ cells }) => {
      for (const k of likely) if (!isWhole(cells[k] ?? "")) broken.add(k);
    });
  }
  const named = likely.filter((k) => !broken.has(k));
  const text = places.filter((k) => isName(first[k]));
  const labels = [...new Set([...named, ...text])];
  if (labels.length > 1) {
    const names = labels.map((k) => header?.[k] ?? k + 1).join(", ");
    throw new DatasetError(
      path,
      `columns ${names} of text or named as labels in line ${line}`,
      "one at most, or the option labels",
    );
  }
  return { index, label: labels[0] };
}

function isWhole(cell: string): boolean {
  return !isNumber(cell) || Number.isInteger(Number(cell));
}

/** More classes than this are no classes. */
const MOST_CLASSES = 2 ** 16;

/** The labels of rows, as they come. */
class Labels {
  readonly #path: string;
  /** The place of each text among the others. */
  readonly #places = new Map<string, number>();
  readonly #rows: Uint32Array;
  #count = 0;

  constructor(count: number, path: string) {
    this.#rows = new Uint32Array(count);
    this.#path = path;
  }

  add(text: string, line: number): void {
    const good = text !== "" && (!isNumber(text) || Number.isFinite(Number(text)));
    if (!good) {
      throw new DatasetError(this.#path, `${quoted(text)} in line ${line}`, "a label for each row");
    }
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.#places.size;
      if (place === MOST_CLASSES) {
        throw new DatasetError(
          this.#path,
          `more than ${MOST_CLASSES.toLocaleString("en")} different labels up to line ${line}`,
          "at most as many, or the option labels: false",
        );
      }
      this.#places.set(text, place);
    }
    this.#rows[this.#count++] = place;
  }

  /** Whole numbers from 0 are the labels themselves; all else are the names of classes, in order. */
  classes(): { labels: Uint32Array; classNames?: string[] } {
    const texts = [...this.#places.keys()];
    if (texts.every((text) => /^\d{1,5}(\.0*)?$/.test(text))) {
      return { labels: this.#rows.map((place) => Number(texts[place])) };
    }
    const numeric = texts.every(isNumber);
    const classNames = texts.toSorted(numeric ? (a, b) => Number(a) - Number(b) : undefined);
    const ranks = new Map(classNames.map((text, k) => [text, k]));
    const ofPlace = texts.map((text) => ranks.get(text)!);
    return { labels: this.#rows.map((place) => ofPlace[place]), classNames };
  }
}

/** The beginning of a text, in quotes. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

function numberOf(cell: string, line: number, name: string | undefined, path: string): number {
  const value = Math.fround(parseNumber(cell));
  if (Number.isFinite(value)) return value;
  const column = name ? `, column ${name.slice(0, 40)}` : "";
  throw new DatasetError(
    path,
    `${quoted(cell)} in line ${line}${column}`,
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
  { header, counted, separator, decimal, first: { cells: first } }: Table,
  count: number,
  { index, label }: Columns,
): string {
  const nameOf = (k: number) =>
    header?.[k] ? `column ${header[k].slice(0, 40)}` : `column ${k + 1}`;
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
