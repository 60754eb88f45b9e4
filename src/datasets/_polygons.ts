/** Polygons of meshes, as files give them. */
import { DatasetError } from "../base/errors.ts";
import { GrowingArray } from "./_growing_array.ts";

/** Polygons one after the other: the indices of their corners, and how many each has. */
export interface Polygons {
  readonly corners: Uint32Array;
  readonly sizes: Uint32Array;
}

/** Corners of a face: no mesh of a surface has more. */
const MOST_CORNERS = 2 ** 16;

/** Polygons of which it is not known beforehand how many come. */
export class GrowingPolygons {
  readonly #file: string;
  readonly #corners = new GrowingArray((length) => new Uint32Array(length));
  readonly #sizes = new GrowingArray((length) => new Uint32Array(length));

  /** @param file The file's name, for messages. */
  constructor(file: string) {
    this.#file = file;
  }

  push(corners: readonly number[]): void {
    checkCorners(corners.length, this.#sizes.length, this.#file);
    for (const corner of corners) this.#corners.push(corner);
    this.#sizes.push(corners.length);
  }

  get polygons(): Polygons {
    return { corners: this.#corners.values, sizes: this.#sizes.values };
  }
}

/** Fails if a face has too many corners. */
export function checkCorners(count: number, face: number, file: string): void {
  if (count <= MOST_CORNERS) return;
  throw new DatasetError(
    file,
    `face ${face} of ${count.toLocaleString("en")} corners`,
    `at most ${MOST_CORNERS.toLocaleString("en")}`,
  );
}
