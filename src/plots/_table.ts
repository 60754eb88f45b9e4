/**
 * Tables of records, as HTML and as text.
 *
 * @module
 */

import { escapeHtml, visible } from "../base/_escape.ts";

/** One row of a table: a value per column name. */
export type TableRow = Readonly<
  Record<string, string | number | boolean | null | undefined>
>;

type Cell = TableRow[string];

// So many values of a list are written out.
const SHORT = 6;

/** A record as a row: nested records under dotted names, lists by what they hold. */
export function rowOf(record: object, prefix: string = ""): TableRow {
  const row: Record<string, Cell> = {};
  for (const [key, value] of Object.entries(record)) {
    const name = prefix + key;
    if (value === null || ["string", "number", "boolean", "undefined"].includes(typeof value)) {
      row[name] = value;
    } else if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      row[name] = listText(Array.from(value as unknown as ArrayLike<unknown>));
    } else if (isRecord(value)) {
      Object.assign(row, rowOf(value, `${name}.`));
    } else if (typeof value !== "function") {
      row[name] = Object.prototype.toString.call(value);
    }
  }
  return row;
}

/** Whether a thing is a record with something in it, and no instance of a class. */
export function isRecord(thing: unknown): thing is object {
  return Object.prototype.toString.call(thing) === "[object Object]" &&
    Object.getPrototypeOf(thing) === Object.prototype && Object.keys(thing as object).length > 0;
}

function listText(values: readonly unknown[]): string {
  if (values.length <= SHORT) return values.map((value) => cellText(value as Cell)).join(", ");
  if (!values.every((value) => typeof value === "number")) return `${values.length} values`;
  const [least, most] = values.reduce(([l, m], v) => [Math.min(l, v), Math.max(m, v)], [
    Infinity,
    -Infinity,
  ]);
  return `${values.length} numbers, ${cellText(least)} to ${cellText(most)}`;
}

/** The column names of all rows, in the order of their first appearance. */
function columnsOf(rows: readonly TableRow[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

/** A value as text; numbers to four digits. */
export function cellText(value: Cell): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "number" || Number.isInteger(value)) {
    return String(value);
  }
  return String(Number(value.toPrecision(4)));
}

/** The rows as an HTML table; numbers to four digits, to the right. */
export function tableHtml(rows: readonly TableRow[]): string {
  const columns = columnsOf(rows);
  const cell = (value: Cell) =>
    `<td style="text-align:${typeof value === "number" ? "right" : "left"}">${
      escapeHtml(cellText(value))
    }</td>`;
  const head = columns.map((name) => `<th>${escapeHtml(name)}</th>`).join("");
  const body = rows.map((row) => `<tr>${columns.map((name) => cell(row[name])).join("")}</tr>`);
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

/** The rows as lines of text in columns; numbers to four digits, to the right. */
export function tableText(rows: readonly TableRow[]): string {
  const columns = columnsOf(rows);
  const textOf = (value: Cell) => visible(cellText(value));
  const widths = columns.map((name) =>
    rows.reduce((most, row) => Math.max(most, textOf(row[name]).length), visible(name).length)
  );
  const lines = [
    columns.map((name, i) => visible(name).padEnd(widths[i])),
    widths.map((width) => "-".repeat(width)),
    ...rows.map((row) =>
      columns.map((name, i) => {
        const text = textOf(row[name]);
        return typeof row[name] === "number" ? text.padStart(widths[i]) : text.padEnd(widths[i]);
      })
    ),
  ];
  return lines.map((line) => line.join("  ").trimEnd()).join("\n");
}
