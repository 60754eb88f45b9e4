/** Where image files come from: a folder or a zip archive, whose sub-folders are the classes. */
import { extname, join } from "@std/path";
import { DatasetError } from "../base/errors.ts";
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
  const around = commonFolder(names);
  const files = await Promise.all(names.map(async (name) => {
    const file = join(folder, name);
    const { isFile } = await stat(file, WANTED);
    if (!isFile) throw new DatasetError(file, "no regular file", "an image");
    const read = (signal?: AbortSignal) => readUnsized(file, MOST_FILE, signal);
    return { file, name: name.slice(around.length), read };
  }));
  const inOrder = sorted(folder, files, others);
  const tables = all.map((name) => ({
    name,
    file: join(folder, name),
    read: () => readUnsized(join(folder, name), MOST_FILE),
  }));
  return {
    ...inOrder,
    ...await classesIn(inOrder.files, around, tables),
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
    const around = commonFolder(images.map(({ name }) => name));
    const files = images.map((entry) => ({
      file: `${file}/${entry.name}`,
      name: entry.name.slice(around.length),
      read: (signal?: AbortSignal) => archive.read(entry, signal),
    }));
    const inOrder = sorted(file, files, others.map(({ name }) => name));
    const tables = archive.entries.map((entry) => ({
      name: entry.name,
      file: `${file}/${entry.name}`,
      read: () => archive.read(entry),
    }));
    return {
      ...inOrder,
      ...await classesIn(inOrder.files, around, tables),
      isFolder: false,
      [Symbol.dispose]: () => archive[Symbol.dispose](),
    };
  } catch (error) {
    archive[Symbol.dispose]();
    throw error;
  }
}

/** The classes of images within folders around all of them, by a table beside them or further out, if there is one. */
async function classesIn(
  images: readonly ImageFile[],
  around: string,
  files: readonly ImageFile[],
): Promise<Classes> {
  const names = images.map(({ name }) => name);
  const classes = classesOf(names, await tableOf(names, around, files));
  if (around === "" || !classes.classNames) return classes;
  const inner = `its classes are folders within ${around.slice(0, -1)}`;
  return { ...classes, found: classes.found ? `${classes.found}; ${inner}` : inner };
}

async function tableOf(
  names: readonly string[],
  around: string,
  files: readonly ImageFile[],
): Promise<LabelFile | undefined> {
  const steps = around.split("/").slice(0, -1);
  for (let depth = steps.length; depth >= 0; depth--) {
    const folder = steps.slice(0, depth).map((step) => `${step}/`).join("");
    const table = files.find(({ name }) => name === folder + TABLE);
    if (!table) continue;
    const inner = around.slice(folder.length);
    return { file: table.file, bytes: await table.read(), names: names.map((n) => inner + n) };
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

/** The folders around all class folders, which archivers and users like to add: `data/` of `data/cat/a.png`. */
function commonFolder(names: readonly string[]): string {
  const [first = ""] = names;
  let depth = 0;
  for (;;) {
    const end = first.indexOf("/", depth) + 1;
    const around = first.slice(0, end);
    const isAround = end > 0 && names.every((name) => name.startsWith(around)) &&
      names.some((name) => name.indexOf("/", end) > 0);
    if (!isAround) return first.slice(0, depth);
    depth = end;
  }
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
