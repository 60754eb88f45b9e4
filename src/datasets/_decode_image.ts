/** Pixels from PNG and JPEG files. */
import { loadJimp } from "../base/_jimp.ts";
import { DatasetError } from "../base/errors.ts";
import { checkImage } from "./_image_header.ts";
import { type DecodedImage, decodeInThread, decodeWith, type ImageTask } from "./_image_thread.ts";

/** Pixels as rows of red, green, blue. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array;
}

/** Pixels above which an image is decoded in a thread: less takes about half a second at most, a thread a third of one to start. */
const LARGE = 2 ** 22;

/**
 * Decodes an image, lays it on white where it is transparent, and if a size is
 * given resizes it to that, and cuts off what sticks out at two sides. Throws a `DatasetError` for whatever the decoder stumbles over.
 */
export async function decodeImage(
  bytes: Uint8Array,
  file: string,
  size?: readonly [height: number, width: number],
  signal?: AbortSignal,
): Promise<Pixels> {
  const declared = await checkImage(bytes, file, signal);
  const task = { bytes: declared.needed ?? bytes, rgb: declared.rgb ?? false, size };
  const large = Math.max(declared.width * declared.height, (size?.[0] ?? 0) * (size?.[1] ?? 0)) >
    LARGE;
  const image = await decode(task, large, signal).catch((cause) => {
    signal?.throwIfAborted();
    throw new DatasetError(
      file,
      `an image that does not decode (${cause instanceof Error ? cause.message : cause})`,
      "a PNG or JPEG image",
      { cause },
    );
  });
  // The orientation noted in a photograph turns it, and may swap its sides.
  const turned = image.decoded.toSorted().join() !==
    [declared.width, declared.height].sort().join();
  if (turned || image.data.length !== 3 * image.width * image.height) {
    throw new DatasetError(
      file,
      `${image.decoded.join(" × ")} pixels when decoded`,
      `${declared.width} × ${declared.height}, as its header says`,
    );
  }
  return image;
}

async function decode(
  task: ImageTask,
  large: boolean,
  signal?: AbortSignal,
): Promise<DecodedImage> {
  const image = large ? await decodeInThread(task, signal) : undefined;
  if (image) return image;
  return await decodeWith(await loadJimp(), task);
}
