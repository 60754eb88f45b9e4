/** Tables of text: which lines are rows, what separates their cells, and what is not said about them. */
import { DatasetError } from "../errors.ts";
import { parseNumber } from "./_text.ts";

/** What is known of a table beforehand. */
export interface TableOptions {
  readonly header?: boolean | "auto";
  readonly decimal?: "." | ",";
}

/** One line of a table. Its cells are split when asked for: those of a large table do not fit in memory at once. */
export interface Row {
  /** The number of the line, from 1. */
  readonly line: number;
  cells(): readonly string[];
}

/** A table as text. */
export interface Table {
  /** At least one row. */
  readonly rows: readonly Row[];
  /** The names of the columns, if the table has them. */
  readonly header?: readonly string[];
  /** What its first line says is the number of rows, if it says that. */
  readonly counted?: number;
  readonly separator: string;
  readonly decimal: "." | ",";
}

/** Words for numbers that are none or not finite, which no header has. */
const NO_NUMBER = /^[+-]?(nan|inf|infinity|na|n\/a|null|none)$/i;

/** Splits a text into a table. */
export function parseTable(text: string, file: string, options: TableOptions): Table {
  const lines = text.split(/\r\n?|\n/)
    .map((content, k) => ({ content: content.trim(), line: k + 1 }))
    .filter(({ content }) => content !== "" && content[0] !== "#");
  if (lines.length === 0) throw new DatasetError(file, "no row of numbers", "at least one");
  const { header = "auto" } = options;
  const counted = header === "auto" && isCount(lines[0].content, lines[1]?.content);
  const body = counted ? lines.slice(1) : lines;
  const separator = separatorOf(body[0].content, options.decimal);
  const decimal = options.decimal ?? decimalOf(separator, body.map(({ content }) => content));
  const cut = [0, 1].every((k) =>
    k >= body.length || endsEmpty(cellsOf(body[k].content, separator, decimal))
  );
  const rows = body.map(({ content, line }) => ({
    line,
    cells(): string[] {
      const cells = cellsOf(content, separator, decimal);
      if (cut && endsEmpty(cells)) cells.pop();
      return cells;
    },
  }));
  const named = header === "auto" ? isHeader(rows) : header;
  return {
    rows: named ? rows.slice(1) : rows,
    ...(named && { header: rows[0].cells() }),
    ...(counted && { counted: Number(lines[0].content) }),
    ...{ separator, decimal },
  };
}

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
  if (line.includes("\t") && !/,\s*\t|\t\s*,/.test(line)) return "\t";
  return [",", "|"].find((mark) => mark !== decimal && line.includes(mark)) ?? " ";
}

/** A comma within numbers, where another mark separates columns and no number has a point. */
function decimalOf(separator: string, lines: readonly string[]): "." | "," {
  const commas = (separator === ";" || separator === "\t") &&
    lines.some((line) => /\d,\d/.test(line));
  return commas && !lines.some((line) => /\d\.\d/.test(line)) ? "," : ".";
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
  const mark = separator === " " ? "\\s+" : `\\s*[${separator}]\\s*`;
  const plain = separator === " " ? '[^\\s"]*' : `[^"${separator}]*`;
  const cell = new RegExp(`("(?:[^"]|"")*"|${plain})(${mark}|$)`, "y");
  const cells: string[] = [];
  while (cell.lastIndex <= line.length) {
    const match = cell.exec(line);
    // A quote within a cell is no quote: such a line is split at each mark.
    if (!match) return line.split(separator === " " ? /\s+/ : separator);
    const [, text, end] = match;
    cells.push(text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);
    if (end === "") break;
  }
  return cells;
}

/**
 * Whether the first row names the columns: if it has text where the next row has numbers, or nothing but text, or
 * nothing in its first cell only, which is that of an index. What begins like a number is one that is misspelt.
 */
function isHeader(rows: readonly Row[]): boolean {
  const cells = rows[0].cells(), next = rows[1]?.cells();
  if (cells.length > 1 && cells[0] === "" && cells.slice(1).every((cell) => cell !== "")) {
    return true;
  }
  if (cells.every(isText)) return true;
  return next !== undefined &&
    cells.some((cell, k) => isText(cell) && !Number.isNaN(parseNumber(next[k] ?? "")));
}

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
