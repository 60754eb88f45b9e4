/** Tables of text: which lines are rows, what separates their cells, and what is not said about them. */
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { eachLine } from "./_lines.ts";
import { parseNumber } from "./_text.ts";

/** What is known of a table beforehand. */
export interface TableOptions {
  readonly header?: boolean | "auto";
  readonly decimal?: "." | ",";
}

/** A table as text. Its rows are split when asked for: those of a large table do not fit in memory at once. */
export interface Table {
  /** How many rows there are, at least one. */
  readonly count: number;
  /** The first of them, of which there may be only one. */
  readonly first: Row;
  /** The names of the columns, if the table has them. */
  readonly header?: readonly string[];
  /** What its first line says is the number of rows, if it says that. */
  readonly counted?: number;
  readonly separator: string;
  readonly decimal: "." | ",";
  /** Visits so many rows, from the first one on. */
  each(count: number, visit: (row: Row, i: number) => void): Interruptible<void>;
}

/** One line of a table. */
export interface Row {
  /** The number of the line, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** Words for numbers that are none or not finite, which no header has. */
const NO_NUMBER = /^[+-]?(nan|inf|infinity|na|n\/a|null|none)$/i;

/** Finds out how a text is a table. */
export function* parseTable(
  text: string,
  file: string,
  options: TableOptions,
): Interruptible<Table> {
  const some: { content: string; line: number; untrimmed: string }[] = [];
  let lines = 0;
  yield* eachContent(text, file, (content, line, untrimmed) => {
    // The line of a count, the header, the first row and the second one.
    if (lines++ < 4) some.push({ content, line, untrimmed });
  });
  if (lines === 0) throw new DatasetError(file, "no row of numbers", "at least one");
  const { header = "auto" } = options;
  const counted = header === "auto" && isCount(some[0].content, some[1]?.content);
  const body = counted ? some.slice(1) : some;
  const separator = separatorOf(body[0].content, options.decimal);
  const decimal = options.decimal ?? (yield* decimalOf(separator, text, file));
  // Tabs at the ends of a line may be those of empty cells.
  const cellsIn = (content: string, untrimmed: string) =>
    cellsOf(separator === "\t" ? trimSpaces(untrimmed) : content, separator, decimal);
  const split: string[][] = [];
  for (const { content, untrimmed } of body.slice(0, 3)) {
    split.push(cellsIn(content, untrimmed));
    yield;
  }
  const cut = split.slice(0, 2).every(endsEmpty);
  const rowOf = (cells: string[], line: number): Row => {
    if (cut && endsEmpty(cells)) cells.pop();
    return { cells, line };
  };
  const rows = split.map((cells, k) => rowOf(cells, body[k].line));
  // Visits the rows after the first line of the table.
  const later = (visit: (row: Row, i: number) => boolean): Interruptible<void> => {
    let i = -Number(counted) - 1;
    return eachContent(text, file, (content, line, untrimmed) => {
      const row = i >= 0 && rowOf(cellsIn(content, untrimmed), line);
      return row ? visit(row, i++) : ++i <= 0;
    });
  };
  const named = header === "auto" ? yield* isHeader(rows, body[0].content, file, later) : header;
  const before = Number(counted) + Number(named);
  const count = lines - before;
  if (count === 0) throw new DatasetError(file, "no row of numbers", "at least one");
  const isQuoted = body[1]?.content[0] === '"';
  const names = named ? yield* namesOf(rows, isQuoted, file, later) : undefined;
  return {
    count,
    first: rows[Number(named)],
    ...(named && { header: names }),
    ...(counted && { counted: Number(some[0].content) }),
    ...{ separator, decimal },
    *each(count, visit) {
      let i = -before;
      yield* eachContent(text, file, (content, line, untrimmed) => {
        if (i >= 0) visit(rowOf(cellsIn(content, untrimmed), line), i);
        return ++i < count;
      });
    },
  };
}

/** Visits the lines that are neither blank nor comments. */
function eachContent(
  text: string,
  file: string,
  visit: (content: string, line: number, untrimmed: string) => boolean | void,
): Interruptible<void> {
  return eachLine(text, file, (untrimmed, line) => {
    const content = untrimmed.trim();
    return content === "" || content[0] === "#" || visit(content, line, untrimmed);
  });
}

/** A line without the space around it, but for tabs. */
function trimSpaces(line: string): string {
  let start = 0, end = line.length;
  while (start < end && isSpace(line[start])) start++;
  while (end > start && isSpace(line[end - 1])) end--;
  return line.slice(start, end);
}

function isSpace(letter: string): boolean {
  return letter !== "\t" && letter.trim() === "";
}

/** Visits rows until told `false`. */
type Later = (visit: (row: Row, i: number) => boolean) => Interruptible<void>;

/** Whether a line is one whole number before lines of several: the count that scanners write. */
function isCount(line: string, next: string | undefined): boolean {
  return /^\d+$/.test(line) && next !== undefined && /[\s,;|]/.test(next);
}

/** Whether a separator ends a row, as some programs write it. */
function endsEmpty(cells: readonly string[]): boolean {
  return cells.length > 1 && cells[cells.length - 1] === "";
}

/**
 * A semicolon, a tab, a comma or a bar, whichever of them, in this order, is in a line; else white space. A tab
 * after a comma belongs to it.
 */
function separatorOf(line: string, decimal: "." | "," = "."): string {
  if (line.includes(";")) return ";";
  if (line.includes("\t") && !/,[^\S\t]*\t|\t[^\S\t]*,/.test(line)) return "\t";
  return [",", "|"].find((mark) => mark !== decimal && line.includes(mark)) ?? " ";
}

/** A comma within numbers, where another mark separates columns and no number has a point. */
function* decimalOf(separator: string, text: string, file: string): Interruptible<"." | ","> {
  if (separator !== ";" && separator !== "\t") return ".";
  let commas = false, points = false;
  yield* eachContent(text, file, (line) => {
    points = /\d\.\d/.test(line);
    commas ||= /\d,\d/.test(line);
    return !points;
  });
  return commas && !points ? "," : ".";
}

function cellsOf(line: string, separator: string, decimal: "." | ","): string[] {
  const parts = line.includes('"')
    ? quotedCells(line, separator)
    : line.split(separator === " " ? /\s+/ : separator);
  const cells = parts.map((part) => part.trim());
  // Most lines need no more than one look.
  if (decimal === "." && !/\d[dD]/.test(line)) return cells;
  return cells.map((cell) => {
    // Fortran writes the exponents of doubles with a D.
    const number = cell.replace(/^([+-]?[\d.,]+)[dD]([+-]?\d+)$/, "$1e$2");
    return decimal === "," && /^[+-]?\d*,\d+([eE][+-]?\d+)?$/.test(number)
      ? number.replace(",", ".")
      : number;
  });
}

/** Cells of which some stand in quotes, where separators are text and two quotes are one. */
function quotedCells(line: string, separator: string): string[] {
  const cells: string[] = [];
  for (let at = 0;;) {
    const quoted = line[at] === '"';
    const end = quoted ? endOfQuote(line, at) : endOfPlain(line, at, separator);
    const next = end < 0 ? end : pastSpace(line, end, separator);
    const parted = separator === " " ? next > end : line[next] === separator;
    // A quote within a cell is no quote: such a line is split at each mark.
    if (end < 0 || (next < line.length && !parted)) {
      return line.split(separator === " " ? /\s+/ : separator);
    }
    cells.push(quoted ? line.slice(at + 1, end - 1).replaceAll('""', '"') : line.slice(at, end));
    if (next === line.length) return cells;
    at = separator === " " ? next : pastSpace(line, next + 1, separator);
  }
}

/** Where a quoted cell ends, after its second quote; -1 if it does not. */
function endOfQuote(line: string, start: number): number {
  let at = line.indexOf('"', start + 1);
  while (at >= 0 && line[at + 1] === '"') at = line.indexOf('"', at + 2);
  return at < 0 ? at : at + 1;
}

/** Where a cell without quotes ends; -1 if there is a quote in it. */
function endOfPlain(line: string, start: number, separator: string): number {
  let at = start;
  while (at < line.length && line[at] !== '"' && !isMark(line[at], separator)) at++;
  return line[at] === '"' ? -1 : at;
}

/** The first place from `start` on without a space that separates nothing. */
function pastSpace(line: string, start: number, separator: string): number {
  let at = start;
  const ends = separator === " " ? "" : separator;
  while (at < line.length && line[at] !== ends && line[at].trim() === "") at++;
  return at;
}

function isMark(letter: string, separator: string): boolean {
  return separator === " " ? letter.trim() === "" : letter === separator;
}

/**
 * The names of the columns. R and pandas name no column of the names of rows: it is the first, named by nothing. A line
 * of other words may be as short, but over fractions, which name no rows but in quotes.
 */
function* namesOf(
  rows: readonly Row[],
  isQuoted: boolean,
  file: string,
  later: Later,
): Interruptible<readonly string[]> {
  const [first, next] = rows;
  const names = first.cells, cells = next.cells;
  if (names.length === cells.length) return names;
  let mayName = names.length + 1 === cells.length && !endsEmpty(cells);
  if (mayName && !isQuoted) {
    yield* later(({ cells: [name] }) => mayName = !isPlain(name) || Number.isInteger(Number(name)));
  }
  if (mayName) return ["", ...names];
  throw new DatasetError(
    file,
    `${cells.length} fields in line ${next.line} under ${names.length} names in line ${first.line}`,
    "as many, or one more before them for the names or numbers of rows",
  );
}

/**
 * Whether the first row names the columns: if it has nothing but text, or text where the next row has numbers. What
 * begins like a number is one that is misspelt. Text beside numbers is no name without a sign of it: it may be a value
 * that is missing.
 */
function* isHeader(
  rows: readonly Row[],
  content: string,
  file: string,
  later: Later,
): Interruptible<boolean> {
  const cells = rows[0].cells, next = rows[1]?.cells;
  if (isIndexed(cells)) {
    if (yield* isIndexHeader(cells.slice(1), later)) return true;
    throw doubt(rows[0], "", file);
  }
  if (cells.every(isText) && cells.some(hasName)) return true;
  const isNamed = (cell: string, k: number) =>
    isText(cell) && !Number.isNaN(parseNumber(next?.[k] ?? ""));
  const places = [...cells.keys()].filter((k) => isNamed(cells[k], k));
  if (places.length === 0) return false;
  if (!cells.some(isPlain) && cells.some((cell) => isText(cell) && hasName(cell))) return true;
  if (places.some((k) => isSurelyName(cells, k, content))) return true;
  // A column of classes, of which some are numbers.
  const texts = new Set<number>();
  yield* later((row) => {
    for (const k of places) if (isText(row.cells[k] ?? "")) texts.add(k);
    return texts.size < places.length;
  });
  const odd = places.find((k) => !texts.has(k));
  if (odd === undefined) return false;
  throw doubt(rows[0], cells[odd], file);
}

function doubt({ line }: Row, cell: string, file: string): DatasetError {
  return new DatasetError(
    file,
    `${JSON.stringify(cell.slice(0, 40))} in line ${line}, which may be a header or a row`,
    "numbers alone, or names in quotes; readCsv() is told by its option header",
  );
}

/** Whether nothing but the first cell is empty, as in the header over an index. */
function isIndexed(cells: readonly string[]): boolean {
  return cells.length > 1 && cells[0] === "" && cells.slice(1).every((cell) => cell !== "");
}

/** Whether cells after an empty one are names: words, or the numbers 0 1 …, or over rows that have names or are counted. */
function* isIndexHeader(names: readonly string[], later: Later): Interruptible<boolean> {
  if (!names.some(isPlain) && names.some(hasName)) return true;
  if (names.some(isPlain) && isCounted(names.filter(isPlain))) return true;
  let rows = 0, named = true, counts = true;
  yield* later(({ cells: [cell] }, i) => {
    rows++;
    named &&= isText(cell);
    counts &&= cell === String(i);
    return named || counts;
  });
  return rows > 0 && (named || counts);
}

/** Whether a text beside numbers is a name: in quotes, named as labels, or beside the numbers 0 1 … that pandas gives. */
function isSurelyName(cells: readonly string[], place: number, content: string): boolean {
  const cell = cells[place], numbers = cells.filter(isPlain);
  const quoted = (text: string) => content.includes(`"${text.replaceAll('"', '""')}"`);
  if (!hasName(cell)) return false;
  return (quoted(cell) && !numbers.some(quoted)) || LABEL.test(cell) ||
    (numbers.length > 1 && isCounted(numbers));
}

function isCounted(cells: readonly string[]): boolean {
  return cells.every((cell, k) => cell === String(k));
}

/** Whether a cell is a number, and no word for one that is missing. */
function isPlain(cell: string): boolean {
  return !Number.isNaN(parseNumber(cell));
}

/** Whether a cell has a letter that is not within a number. */
function hasName(cell: string): boolean {
  return /(?<![\d.])[\p{L}_]/u.test(cell);
}

/** Names of columns that hold classes. */
export const LABEL = /^(label|class|target|species)s?$/i;

/** Whether a cell is a number, or a word for one that is missing or not finite. */
export function isNumber(cell: string): boolean {
  return !Number.isNaN(parseNumber(cell)) || NO_NUMBER.test(cell);
}

function isText(cell: string): boolean {
  return cell !== "" && !isNumber(cell) && !/^[+-]?[.\d]/.test(cell);
}

/** Whether a cell may name a class: it begins with a letter, and is no word for a number. */
export function isName(cell: string): boolean {
  return /^[\p{L}_]/u.test(cell) && !NO_NUMBER.test(cell);
}
