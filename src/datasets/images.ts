/**
 * Folders and zip archives of PNG and JPEG images.
 *
 * @module
 */
import { checkWhole } from "../base/_checks.ts";
import { cacheFolder } from "../base/_cache_folder.ts";
import { note } from "../base/_note.ts";
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { type Interruptible, inTurns } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { checkLimit, checkOneOf } from "./_checks.ts";
import { decodeImage, type Pixels } from "./_decode_image.ts";
import { allocate } from "./_files.ts";
import { type ImageArray, throughImageCache } from "./_image_cache.ts";
import { type ImageFile, listed, openImages } from "./_image_source.ts";
import { Dataset } from "./dataset.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readImages}. */
export interface ImagesOptions extends ReadOptions {
  /**
   * Resizes all images: `[height, width]`, or one number for both. What sticks out at two sides, of an image of
   * another aspect ratio, is cut off. Default: no resizing, and all must be of one size.
   */
  readonly size?: number | readonly [height: number, width: number];
  /** 1 for grey, by the luma of Rec. 601, 3 for colour. Default: 1 if every image is grey, else 3. */
  readonly channels?: 1 | 3;
  /**
   * Keeps the decoded images for the next time, under a key of what the files hold: in this folder, or for true in the
   * one that the variable `CLOSEDFORM_CACHE` names, if not `none`, or in the user's folder of caches. Where that cannot
   * be written, or may not be, there is no cache. Default: true for folders, false for archives.
   */
  readonly cache?: string | boolean;
  /** Told the names of images that are passed over, such as those of GIF or HEIC. Default: a note. */
  readonly onPassedOver?: (names: readonly string[]) => void;
  /** The data set's name. Default: the path. */
  readonly name?: string;
}

/** Files of a folder read at once; an archive is one file, which has one position. */
const AT_ONCE = 8;

const OPTIONS = {
  ...READ_OPTIONS,
  size: undefined,
  channels: undefined,
  cache: undefined,
  onPassedOver: undefined,
  name: undefined,
} satisfies OptionTable<ImagesOptions>;

/**
 * Reads a folder or zip archive of PNG and JPEG images.
 *
 * A file `dataset.json`, as the tools of StyleGAN and EDM write it, names the class of each image. Without it, if all
 * images lie in sub-folders, those are the classes, with what lies in deeper folders; but folders of shards as those
 * tools make them, like `00000/img00000000.png`, are none, and below splits, such as `train` and `test`, the classes are
 * the folders in them, and so are those in one folder around all. What is recognised so is told in a line, and so it is
 * that there are no classes, if some images lie in folders and others in none.
 *
 * The order is that of the sorted names. Hidden files and files that are not named `.png`, `.jpg`, `.jpeg`, `.jpe` or `.jfif` are passed over, with a
 * note if they are images by their first bytes or endings; transparent images are laid on white.
 *
 * @param path The folder or archive.
 * @param options Size, channels, cache, limit.
 * @returns Byte images of shape `[height, width, channels]`, with labels if there are classes.
 * @throws {DatasetError} If there are no images, one is damaged or absurdly large, or their sizes differ. An image may
 * have 100 megapixels, a JPEG what takes 1.5 GiB to decode: some 30 megapixels of colour, 50 of colour at half resolution, 75 of grey; and no
 * more than 64 scans per component.
 * @throws {RangeError} If an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { readImages } from "@closedform/diffusion";
 * import { Jimp } from "jimp";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * for (const [name, color] of [["black", 0x000000ff], ["white", 0xffffffff]] as const) {
 *   await Deno.mkdir(`${folder}/${name}`);
 *   await new Jimp({ width: 2, height: 1, color }).write(`${folder}/${name}/a.png`);
 * }
 * const set = await readImages(folder);
 * assert.deepEqual(set.classNames, ["black", "white"]);
 * assert.deepEqual([...set.values(1)], [1, 1]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readImages(
  path: string,
  options: ImagesOptions = {},
): Promise<Dataset> {
  checkOptionNames(`read ${path}`, options, OPTIONS);
  const { name = path, channels, signal } = options;
  const size = checkSize(path, options.size);
  checkOneOf(`read ${path}`, "channels", channels, [1, 3, undefined]);
  signal?.throwIfAborted();
  using source = await openImages(path, signal);
  const { classNames, labels, isFolder, passedOver, found } = source;
  const say = (line: string) => note(`${path}: ${line}`, options.onNote);
  if (found) say(found);
  if (passedOver.length > 0) {
    if (options.onPassedOver) options.onPassedOver(passedOver);
    else say(`passed over, as not named as PNG or JPEG: ${listed(passedOver)}`);
  }
  const files = source.files.slice(0, checkLimit(options.limit));
  const decode = (files: readonly ImageFile[]) => decodeAll(files, size, options);
  // A part of the images is not worth a cache.
  const whole = files.length === source.files.length;
  const folder = await cacheFolder(`read ${path}`, whole && (options.cache ?? isFolder));
  const { data, shape } = folder === undefined ? await decode(files) : await throughImageCache(
    folder,
    files,
    [size, channels],
    decode,
    isFolder ? AT_ONCE : 1,
    signal,
  );
  return new Dataset({
    data,
    shape,
    name,
    labels: labels?.subarray(0, files.length),
    classNames,
  });
}

async function decodeAll(
  files: readonly ImageFile[],
  wanted: readonly [number, number] | undefined,
  { channels, signal, onProgress }: ImagesOptions,
): Promise<ImageArray> {
  let size = wanted;
  let data: Uint8Array = new Uint8Array(0);
  let grey = true;
  for (const [i, file] of files.entries()) {
    signal?.throwIfAborted();
    const image = await decodeImage(await file.read(signal), file.file, wanted, signal);
    size ??= [image.height, image.width];
    if (image.height !== size[0] || image.width !== size[1]) {
      throw new DatasetError(
        file.file,
        `an image of ${image.width} × ${image.height} pixels`,
        `${size[1]} × ${size[0]}, the size of ${
          files[0].file
        }, or one for all by the option size, or as images:PATH:64`,
      );
    }
    if (files.length === 1) data = image.data;
    else {
      if (i === 0) data = allocate(file.file, files.length * image.data.length);
      data.set(image.data, i * image.data.length);
    }
    grey &&= await inTurns(isGrey(image), signal);
    onProgress?.(i + 1, files.length);
  }
  const depth = channels ?? (grey ? 1 : 3);
  return {
    data: depth === 1 ? await inTurns(luma(data), signal) : data,
    shape: [...size!, depth],
  };
}

/** Bytes between two turns of others, of whole pixels. */
const TURN = 3 * 2 ** 18;

function* isGrey({ data }: Pixels): Interruptible<boolean> {
  for (let at = 0; at < data.length; at += 3) {
    if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) return false;
    if (at % TURN === 0) yield;
  }
  return true;
}

/** `Y = 0.299 R + 0.587 G + 0.114 B`, which leaves grey as it is. */
function* luma(rgb: Uint8Array): Interruptible<Uint8Array> {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = Math.round(
      (299 * rgb[3 * i] + 587 * rgb[3 * i + 1] + 114 * rgb[3 * i + 2]) / 1000,
    );
    if (i % TURN === 0) yield;
  }
  return grey;
}

function checkSize(
  path: string,
  size: ImagesOptions["size"],
): readonly [number, number] | undefined {
  if (size === undefined) return undefined;
  const [height, width] = typeof size === "number" ? [size, size] : size;
  for (const side of [height, width]) {
    checkWhole(`read ${path}`, "size", side, 1, 8192);
  }
  return [height, width];
}
