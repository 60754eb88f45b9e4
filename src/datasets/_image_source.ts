/** Where image files come from: a folder or a zip archive, whose sub-folders are the classes. */
import { extname, join } from "@std/path";
import { DatasetError } from "../errors.ts";
import { fileError, mostUnsized, readUnsized, stat } from "./_files.ts";
import { type Classes, classesOf, type LabelFile } from "./_image_classes.ts";
import { HEAD_SIZE, isImageHead } from "./_image_header.ts";
import { ZipArchive, type ZipEntry } from "./_zip.ts";

/** One image file. */
export interface ImageFile {
  /** Its path, for messages. */
  readonly file: string;
  /** Its path within the source, `class/…/name` or `name`. */
  readonly name: string;
  /** Its bytes. */
  read(signal?: AbortSignal): Promise<Uint8Array>;
}

/** Image files in a fixed order. */
export interface ImageSource extends Disposable, Classes {
  readonly files: readonly ImageFile[];
  /** Images of formats that are not read, or are not named as those that are. */
  readonly passedOver: readonly string[];
  /** Whether it is a folder, not an archive. */
  readonly isFolder: boolean;
}

/** The table of labels that the tools of StyleGAN and EDM write. */
const TABLE = "dataset.json";
const MOST_FILE = 2 ** 28;
const MOST_ARCHIVE = 2 ** 33;
const WANTED = "a folder or zip archive of PNG or JPEG images";
/** Formats of images that are not read. */
const OTHERS = /^\.(gif|webp|hei[cf]|avif|bmp|tiff?|jxl|jp2|svg|p[bgpn]m)$/i;

/** Lists a folder or opens an archive. */
export async function openImages(path: string, signal?: AbortSignal): Promise<ImageSource> {
  const { isDirectory } = await stat(path, WANTED);
  return isDirectory ? await openFolder(path) : await openArchive(path, signal);
}

async function openFolder(folder: string): Promise<ImageSource> {
  const all = await namesIn(folder);
  const names = all.filter(isImage);
  const others = all.filter((name) =>
    !isImage(name) && (isOther(name) || isImageHead(headOf(join(folder, name))))
  );
  const files = await Promise.all(names.map(async (name) => {
    const file = join(folder, name);
    const { isFile } = await stat(file, WANTED);
    if (!isFile) throw new DatasetError(file, "no regular file", "an image");
    const read = (signal?: AbortSignal) => readUnsized(file, MOST_FILE, signal);
    return { file, name, read };
  }));
  const inOrder = sorted(folder, files, others);
  const table = all.includes(TABLE)
    ? {
      file: join(folder, TABLE),
      bytes: await readUnsized(join(folder, TABLE), MOST_FILE),
      names: inOrder.files.map(({ name }) => name),
    }
    : undefined;
  return {
    ...inOrder,
    ...classesOf(inOrder.files.map(({ name }) => name), table),
    isFolder: true,
    [Symbol.dispose]() {},
  };
}

async function openArchive(file: string, signal?: AbortSignal): Promise<ImageSource> {
  const archive = await ZipArchive.open(file, MOST_FILE, MOST_ARCHIVE, signal);
  try {
    const shown = archive.entries.filter(({ name }) => !name.split("/").some(isHidden));
    const images = shown.filter(({ name }) => isImage(name));
    const others: ZipEntry[] = [];
    for (const entry of shown) {
      signal?.throwIfAborted();
      if (!isImage(entry.name) && (isOther(entry.name) || await holdsImage(archive, entry))) {
        others.push(entry);
      }
    }
    for (const { name, size, compressedSize } of images) {
      if (size <= mostUnsized(compressedSize)) continue;
      throw new DatasetError(
        `${file}/${name}`,
        `${size.toLocaleString("en")} bytes from ${compressedSize.toLocaleString("en")}`,
        "an image, of a possible ratio: it is compressed already",
      );
    }
    const depth = commonFolder(images.map(({ name }) => name));
    const files = images.map((entry) => ({
      file: `${file}/${entry.name}`,
      name: entry.name.slice(depth),
      read: (signal?: AbortSignal) => archive.read(entry, signal),
    }));
    const inOrder = sorted(file, files, others.map(({ name }) => name));
    const names = inOrder.files.map(({ name }) => name);
    return {
      ...inOrder,
      ...classesOf(names, await tableIn(archive, images[0].name.slice(0, depth), names)),
      isFolder: false,
      [Symbol.dispose]: () => archive[Symbol.dispose](),
    };
  } catch (error) {
    archive[Symbol.dispose]();
    throw error;
  }
}

/** The table of an archive, beside its images or outside of the folder around all of them. */
async function tableIn(
  archive: ZipArchive,
  around: string,
  names: readonly string[],
): Promise<LabelFile | undefined> {
  for (const folder of new Set([around, ""])) {
    const entry = archive.entries.find(({ name }) => name === folder + TABLE);
    if (!entry) continue;
    const known = folder === around ? names : names.map((name) => around + name);
    return {
      file: `${archive.file}/${entry.name}`,
      bytes: await archive.read(entry),
      names: known,
    };
  }
}

/** Sorts the files, so that their order does not depend on the disk. */
function sorted(
  path: string,
  unsorted: ImageFile[],
  passedOver: string[],
): Pick<ImageSource, "files" | "passedOver"> {
  passedOver.sort();
  const files = unsorted.sort((a, b) => a.name < b.name ? -1 : 1);
  if (files.length === 0) {
    const others = passedOver.length > 0 ? `, but ${listed(passedOver)}` : "";
    throw new DatasetError(path, `no PNG or JPEG image${others}`, WANTED);
  }
  return { files, passedOver };
}

/** The length of the folder's path around all class folders of an archive, which archivers like to add. */
function commonFolder(names: string[]): number {
  const depth = (names[0] ?? "").indexOf("/") + 1;
  const around = names[0]?.slice(0, depth);
  const common = names.every((name) => name.startsWith(around!) && name.indexOf("/", depth) > 0);
  return common ? depth : 0;
}

/** The files in a folder and the folders within, but for hidden ones. Links to folders are followed at the top only. */
async function namesIn(folder: string, inner: string = ""): Promise<string[]> {
  const names: string[] = [];
  for (const { name, isDirectory, isSymlink } of await list(join(folder, inner))) {
    if (isHidden(name)) continue;
    const path = inner === "" ? name : `${inner}/${name}`;
    const linked = isSymlink && inner === "" && !isImage(name);
    if (isDirectory || linked && (await stat(join(folder, path), WANTED)).isDirectory) {
      names.push(...await namesIn(folder, path));
    } else names.push(path);
  }
  return names;
}

async function list(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    throw fileError(folder, "a readable folder", error);
  }
}

/** The first of some files, and how many more there are. */
export function listed([first, ...others]: readonly string[]): string {
  const more = others.length;
  return `${first}${more > 0 ? ` and ${more} other file${more === 1 ? "" : "s"}` : ""}`;
}

function isImage(name: string): boolean {
  const file = name.slice(name.lastIndexOf("/") + 1);
  return !isHidden(file) && /^\.(png|jpe?g|jpe|jfif|jif)$/i.test(extname(file));
}

function isOther(name: string): boolean {
  return OTHERS.test(extname(name));
}

/** The first bytes of a regular file; none of what is no such file, or cannot be read: it has no name of an image. */
function headOf(file: string): Uint8Array {
  const head = new Uint8Array(HEAD_SIZE);
  try {
    // A pipe would wait for its other end.
    if (!Deno.statSync(file).isFile) return head;
    using open = Deno.openSync(file);
    return head.subarray(0, open.readSync(head) ?? 0);
  } catch (error) {
    if (fileError(file, WANTED, error) instanceof DatasetError) return head;
    throw error;
  }
}

/** Whether a file of an archive is an image by its content; not if it cannot be read: it has no name of one. */
async function holdsImage(archive: ZipArchive, entry: ZipEntry): Promise<boolean> {
  try {
    return isImageHead(await archive.head(entry, HEAD_SIZE));
  } catch (error) {
    if (error instanceof DatasetError) return false;
    throw error;
  }
}

function isHidden(name: string): boolean {
  return name.startsWith(".") || name === "__MACOSX";
}
