/** Where image files come from: a folder or a zip archive, with one sub-folder per class. */
import { extname, join } from "@std/path";
import { DatasetError } from "../errors.ts";
import { fileError, readBytes, stat } from "./_files.ts";
import { ZipArchive } from "./_zip.ts";

/** One image file. */
export interface ImageFile {
  /** Its path, for messages. */
  readonly file: string;
  /** Its path within the source, `class/name` or `name`. */
  readonly name: string;
  /** Its content, in short: size and time or checksum, to tell whether it changed. */
  readonly stamp: string;
  /** Its bytes. */
  read(): Promise<Uint8Array>;
}

/** Image files in a fixed order. */
export interface ImageSource extends Disposable {
  readonly files: readonly ImageFile[];
  /** The names of the classes in order, if there are sub-folders. */
  readonly classNames?: readonly string[];
  /** The class of each file. */
  readonly labels?: Uint32Array;
  /** Where a cache of the decoded images belongs. */
  readonly cacheFile: string;
  /** Whether it is a folder, not an archive. */
  readonly isFolder: boolean;
}

const MOST_FILE = 2 ** 28;
const MOST_ARCHIVE = 2 ** 33;
const WANTED = "a folder or zip archive of PNG or JPEG images";

/** Lists a folder or opens an archive. */
export async function openImages(path: string): Promise<ImageSource> {
  const { isDirectory } = await stat(path, WANTED);
  return isDirectory ? await openFolder(path) : await openArchive(path);
}

async function openFolder(folder: string): Promise<ImageSource> {
  const names: string[] = [];
  for (const entry of await list(folder)) {
    if (isImage(entry)) names.push(entry);
    else if (!isHidden(entry)) {
      const inner = join(folder, entry);
      if (!(await stat(inner, WANTED)).isDirectory) continue;
      names.push(
        ...(await list(inner)).filter(isImage).map((name) => `${entry}/${name}`),
      );
    }
  }
  const files = await Promise.all(names.map(async (name) => {
    const file = join(folder, name);
    const { size, mtime, isFile } = await stat(file, WANTED);
    if (!isFile) throw new DatasetError(file, "no regular file", "an image");
    const read = () => readBytes(file, MOST_FILE);
    return { file, name, stamp: `${size} ${mtime?.getTime()}`, read };
  }));
  return {
    ...classify(folder, files),
    cacheFile: join(folder, ".closedform.cache"),
    isFolder: true,
    [Symbol.dispose]() {},
  };
}

async function openArchive(file: string): Promise<ImageSource> {
  const archive = await ZipArchive.open(file, MOST_FILE, MOST_ARCHIVE);
  try {
    const images = archive.entries.filter(({ name }) =>
      isImage(name) && !name.split("/").some(isHidden)
    );
    const depth = commonFolder(images.map(({ name }) => name));
    const files = images.map((entry) => ({
      file: `${file}/${entry.name}`,
      name: entry.name.slice(depth),
      stamp: `${entry.size} ${entry.crc}`,
      read: () => archive.read(entry),
    })).filter(({ name }) => name.split("/").length <= 2);
    return {
      ...classify(file, files),
      cacheFile: `${file}.closedform.cache`,
      isFolder: false,
      [Symbol.dispose]: () => archive[Symbol.dispose](),
    };
  } catch (error) {
    archive[Symbol.dispose]();
    throw error;
  }
}

/** Sorts the files, so that their order does not depend on the disk, and takes sub-folders as classes. */
function classify(
  path: string,
  unsorted: ImageFile[],
): Pick<ImageSource, "files" | "classNames" | "labels"> {
  const files = unsorted.sort((a, b) => a.name < b.name ? -1 : 1);
  if (files.length === 0) {
    throw new DatasetError(path, "no image", WANTED);
  }
  const classes = files.map(({ name }) =>
    name.includes("/") ? name.slice(0, name.indexOf("/")) : undefined
  );
  if (classes.every((name) => name === undefined)) return { files };
  const outside = classes.indexOf(undefined);
  if (outside >= 0) {
    throw new DatasetError(
      files[outside].file,
      "an image beside folders of images",
      "all images in folders, which are their classes, or none",
    );
  }
  const classNames = [...new Set(classes as string[])];
  const numbers = new Map(classNames.map((name, k) => [name, k]));
  return {
    files,
    classNames,
    labels: Uint32Array.from(classes, (name) => numbers.get(name!)!),
  };
}

/** The length of the folder's path around all class folders of an archive, which archivers like to add. */
function commonFolder(names: string[]): number {
  const depth = (names[0] ?? "").indexOf("/") + 1;
  const around = names[0]?.slice(0, depth);
  const common = names.every((name) => name.startsWith(around!) && name.indexOf("/", depth) > 0);
  return common ? depth : 0;
}

async function list(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) names.push(name);
  } catch (error) {
    throw fileError(folder, "a readable folder", error);
  }
  return names;
}

function isImage(name: string): boolean {
  const file = name.slice(name.lastIndexOf("/") + 1);
  return !isHidden(file) && /^\.(png|jpe?g)$/i.test(extname(file));
}

function isHidden(name: string): boolean {
  return name.startsWith(".") || name === "__MACOSX";
}
