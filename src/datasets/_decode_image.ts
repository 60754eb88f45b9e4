/** Pixels from PNG and JPEG files. */
import { DatasetError } from "../errors.ts";
import { checkImage } from "./_image_header.ts";

/** Pixels as rows of red, green, blue. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array;
}

/**
 * Decodes an image, lays it on white where it is transparent, and if a size is
 * given resizes it to that, and cuts off what sticks out at two sides. Throws a `DatasetError` for whatever the decoder stumbles over.
 */
export async function decodeImage(
  bytes: Uint8Array,
  file: string,
  size?: readonly [height: number, width: number],
): Promise<Pixels> {
  const declared = checkImage(bytes, file);
  // Loaded on first use: it takes longer than all the rest of this package.
  const { Jimp } = await import("jimp");
  const image = await Jimp.fromBuffer(bytes.slice().buffer, {
    // The decoder takes three components for YCbCr unless it is told.
    "image/jpeg": { maxMemoryUsageInMB: 4096, ...(declared.rgb && { colorTransform: false }) },
  }).catch((cause) => {
    throw new DatasetError(
      file,
      `an image that does not decode (${cause instanceof Error ? cause.message : cause})`,
      "a PNG or JPEG image",
      { cause },
    );
  });
  const { width, height } = image.bitmap;
  // The orientation noted in a photograph turns it, and may swap its sides.
  const turned = [width, height].sort().join() !==
    [declared.width, declared.height].sort().join();
  if (turned || image.bitmap.data.length !== 4 * width * height) {
    throw new DatasetError(
      file,
      `${width} × ${height} pixels when decoded`,
      `${declared.width} × ${declared.height}, as its header says`,
    );
  }
  layOnWhite(image.bitmap.data);
  if (size && (size[0] !== height || size[1] !== width)) {
    image.cover({ w: size[1], h: size[0] });
  }
  return {
    height: image.bitmap.height,
    width: image.bitmap.width,
    data: dropAlpha(image.bitmap.data),
  };
}

function layOnWhite(rgba: Uint8Array): void {
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3];
    if (alpha === 255) continue;
    for (let c = 0; c < 3; c++) {
      rgba[at + c] = Math.round(
        (rgba[at + c] * alpha + 255 * (255 - alpha)) / 255,
      );
    }
    rgba[at + 3] = 255;
  }
}

function dropAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(rgba.length / 4 * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return rgb;
}
