/**
 * Images in rows, with words above and beside them, as one drawing.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { LabelledImages } from "../base/_display.ts";
import { escapeHtml, visible } from "../base/_escape.ts";
import { encodePng } from "../plots/encode_png.ts";
import { imageGrid } from "../plots/image_grid.ts";

const PADDING = 2;
const FONT = 12;
/** Width of a letter of a sans-serif font, at most, as a share of its size. */
const LETTER = 0.6;

/**
 * Draws labelled images as an SVG document around one picture.
 *
 * @param images The images and the words.
 * @param scale Pixels per side that one number becomes. Default: as in `imageGrid()`.
 * @returns The document.
 * @throws {TypeError} If there is not one label per row or column.
 */
export async function labelledImagesSvg(images: LabelledImages, scale?: number): Promise<string> {
  const { shape, range, columns, rowLabels = [], columnLabels = [] } = images;
  const { images: values } = images;
  const grid = imageGrid(values, { shape, range, columns, scale, padding: PADDING });
  const count = values.length / shape.reduce((product, n) => product * n, 1);
  const across = Math.min(columns, count), down = Math.ceil(count / columns);
  checkLabels("row", rowLabels, down);
  checkLabels("column", columnLabels, across);
  const left = rowLabels.reduce((most, label) => Math.max(most, label.length), 0) * FONT * LETTER;
  const margin = left > 0 ? Math.ceil(left) + 8 : 0;
  const top = columnLabels.length > 0 ? FONT + 6 : 0;
  const pitch = [(grid.width - PADDING) / across, (grid.height - PADDING) / down];
  const text = (label: string, x: number, y: number, anchor: string) =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeHtml(visible(label))}</text>`;
  const middle = (i: number, axis: number) => PADDING / 2 + (i + 0.5) * pitch[axis];
  const words = [
    ...rowLabels.map((label, i) => text(label, margin - 6, top + middle(i, 1) + FONT / 3, "end")),
    ...columnLabels.map((label, i) => text(label, margin + middle(i, 0), FONT, "middle")),
  ];
  const png = Buffer.from(await encodePng(grid)).toString("base64");
  const [width, height] = [margin + grid.width, top + grid.height];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
    `<rect width="100%" height="100%" fill="white"/>` +
    `<image x="${margin}" y="${top}" width="${grid.width}" height="${grid.height}" href="data:image/png;base64,${png}"/>` +
    `<g font-family="sans-serif" font-size="${FONT}" fill="#333">${words.join("")}</g></svg>`;
}

function checkLabels(name: string, labels: readonly string[], wanted: number): void {
  if (labels.length === 0 || labels.length === wanted) return;
  throw new TypeError(
    `Cannot show images: received ${labels.length} labels of ${name}s, wanted ${wanted}`,
  );
}
