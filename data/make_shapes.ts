/**
 * Makes the shipped data set again, byte for byte: `deno run --allow-write=data data/make_shapes.ts`.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { gzipSync } from "fflate";
import { shapes } from "../src/datasets/shapes.ts";

/** The two files of `data/shapes`, gzipped IDX, by name. */
export function encodeShapes(): Record<string, Uint8Array> {
  const { data, count, shape, labels } = shapes(4096, { seed: 0 });
  return {
    "images-idx4-ubyte.gz": encodeIdx([count, ...shape], data),
    "labels-idx1-ubyte.gz": encodeIdx([count], labels!),
  };
}

function encodeIdx(
  dimensions: number[],
  values: ArrayLike<number>,
): Uint8Array {
  const start = 4 + 4 * dimensions.length;
  const bytes = new Uint8Array(start + values.length);
  bytes.set([0, 0, 8, dimensions.length]);
  const view = new DataView(bytes.buffer);
  dimensions.forEach((n, axis) => view.setUint32(4 + 4 * axis, n));
  bytes.set(values, start);
  // Without a time in its header the archive depends on its content alone.
  return gzipSync(bytes, { level: 9, mtime: 0 });
}

if (import.meta.main) {
  const folder = new URL("./shapes/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(encodeShapes())) {
    const path = fromFileUrl(new URL(name, folder));
    await Deno.writeFile(path, bytes);
    console.log(`${path}: ${bytes.length} bytes`);
  }
}
