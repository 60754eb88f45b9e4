/** Encoders of the formats that readers read, written from the formats' definitions. */

/** IDX with unsigned bytes. */
export function encodeIdx(
  dimensions: readonly number[],
  values: ArrayLike<number>,
): Uint8Array<ArrayBuffer> {
  const start = 4 + 4 * dimensions.length;
  const bytes = new Uint8Array(start + values.length);
  bytes.set([0, 0, 8, dimensions.length]);
  const view = new DataView(bytes.buffer);
  dimensions.forEach((n, axis) => view.setUint32(4 + 4 * axis, n));
  bytes.set(values, start);
  return bytes;
}

/** CIFAR's binary format: for each image its label bytes, then its channels one after the other. */
export function encodeCifar(
  images: Uint8Array,
  labels: readonly (readonly number[])[],
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(labels.flatMap((bytes, i) => {
    const image = images.subarray(i * 3072, (i + 1) * 3072);
    const planes = [0, 1, 2].flatMap((c) =>
      Array.from({ length: 1024 }, (_, p) => image[3 * p + c])
    );
    return [...bytes, ...planes];
  }));
}

/** `n` bytes that look random and are the same each time. */
export function someBytes(n: number, seed = 1): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** The header of a `.npy` file of bytes, for arrays that are written piece by piece or not at all. */
export function npyHeader(shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const header = new TextEncoder().encode("0123456789" + text.padEnd(117) + "\n");
  header.set([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, 118, 0]);
  return header;
}
