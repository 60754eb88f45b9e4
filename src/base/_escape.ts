/**
 * Names are data: what a file, a folder or a record calls something is written out as text, whatever it holds.
 * One function for each place where text means something else.
 *
 * @module
 */

/** Text in HTML or SVG, within elements and quoted attributes. */
export function escapeHtml(text: string): string {
  return visible(text).replace(/[&<>"'`]/g, entity);
}

/** Text in Markdown, where signs could be markup, a link or mathematics; it stays on one line. */
export function escapeMarkdown(text: string): string {
  return visible(text)
    .replace(/[!-'*;-@[-`{-~]|^[ +-]/g, entity)
    // A number and a point at the beginning would be a list.
    .replace(/^(\d+)([.)])/, (_, digits, c) => digits + entity(c));
}

/** Text on a terminal: no control characters, no marks that turn the direction of what follows. It stays on one line. */
export function visible(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Several lines on a terminal, JSON among them. */
export function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}

// C0 and C1 controls, line separators, marks of direction, and surrogates that stand alone.
const CONTROLS =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function entity(c: string): string {
  return `&#${c.charCodeAt(0)};`;
}
