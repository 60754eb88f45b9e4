/** Which classes images have: by a table beside them, or by the folders they lie in. */
import { DatasetError } from "../base/errors.ts";

/** A file of labels, as the tools of StyleGAN and EDM write it. */
export interface LabelFile {
  /** Its path, for messages. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** The names of the images as it knows them, in the order of the images. */
  readonly names: readonly string[];
}

/** The classes of images. */
export interface Classes {
  /** The class of each image, if there are classes. */
  readonly labels?: Uint32Array;
  /** The names of the classes, if they have names. */
  readonly classNames?: readonly string[];
  /** What was recognised that differs from folders as classes, in a few words. */
  readonly found?: string;
}

/** Folders of a set's parts, which hold the same classes. */
const SPLIT = /^(train|training|val|valid|validation|dev|test|testing|eval)$/i;
/** How the tools of StyleGAN and EDM spread images over folders. */
const SHARD = /^\d{5}\/img\d{8}\.[^/]+$/;
/** Labels beyond this are no classes. */
const MOST_CLASSES = 2 ** 16;

/**
 * The classes of images:
 *
 * - those of `dataset.json`, if that is there;
 * - none, if all folders are shards like `00000/img00000000.png`;
 * - the folders within, if all outer ones are splits like `train` and `test`;
 * - else the outer folders, if every image lies in one.
 */
export function classesOf(names: readonly string[], table?: LabelFile): Classes {
  const listed = table && tableClasses(table);
  if (listed) return listed;
  if (names.every((name) => SHARD.test(name))) {
    return { found: "its folders are shards, which are no classes" };
  }
  const outer = [...new Set(names.map(folderOf))];
  if (outer.every((folder) => folder !== undefined && SPLIT.test(folder))) {
    const inner = names.map((name) => name.slice(name.indexOf("/") + 1));
    const parts = `its folders ${outer.join(", ")} are taken as parts of one set, not as classes`;
    const { found, ...classes } = folderClasses(inner, names);
    return { ...classes, found: found ? `${parts}; ${found}` : parts };
  }
  return folderClasses(names);
}

function folderOf(name: string): string | undefined {
  return name.includes("/") ? name.slice(0, name.indexOf("/")) : undefined;
}

/** The outer folders of names as classes; images are told by their paths. */
function folderClasses(names: readonly string[], paths: readonly string[] = names): Classes {
  const folders = names.map(folderOf);
  // One image outside of all folders has no class, and then folders are no classes.
  const loose = paths.filter((_, i) => folders[i] === undefined);
  if (loose.length === names.length) return {};
  if (loose.length > 0) {
    const which = loose.length > 1
      ? `and ${loose.length - 1} more of its images lie`
      : "of its images lies";
    return { found: `there are no classes, as ${loose[0]} ${which} in no folder` };
  }
  const classNames = [...new Set(folders as string[])].sort();
  const numbers = new Map(classNames.map((name, k) => [name, k]));
  return { classNames, labels: Uint32Array.from(folders, (name) => numbers.get(name!)!) };
}

/** The classes of a table; nothing if the file is another one. */
function tableClasses({ file, bytes, names }: LabelFile): Classes | undefined {
  const table = labelTable(bytes, file);
  if (table === undefined) return undefined;
  if (table === null) return { found: "by its dataset.json there are no classes" };
  const values = names.map((name) => {
    if (table.has(name)) return table.get(name);
    throw new DatasetError(file, `no label of ${name}`, "one for each image");
  });
  const found = "its classes are those of dataset.json";
  if (values.every(isClass)) return { labels: Uint32Array.from(values), found };
  if (values.every(Array.isArray)) {
    const classes = values.map(oneHot);
    return classes.every(isClass)
      ? { labels: Uint32Array.from(classes), found }
      : { found: "the labels of its dataset.json are vectors, which are no classes" };
  }
  const at = values.findIndex((value) => !isClass(value));
  throw new DatasetError(
    file,
    `the label ${JSON.stringify(values[at])?.slice(0, 40)} of ${names[at]}`,
    `whole numbers from 0 to ${MOST_CLASSES - 1}`,
  );
}

/** The labels by names, `null` if the file says that there are none, nothing if it is another file. */
function labelTable(bytes: Uint8Array, file: string): Map<string, unknown> | null | undefined {
  let content: { labels?: unknown } | readonly unknown[] | null;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new DatasetError(file, "no JSON text", "labels of images", { cause });
  }
  // Another file of this name may be a list, too, but not of lists.
  const isBare = Array.isArray(content) && content.some(Array.isArray);
  const labels = isBare ? content : (content as { labels?: unknown } | null)?.labels;
  if (labels === undefined || labels === null) return labels;
  const pairs = Array.isArray(labels) ? labels : Object.entries(labels);
  if (!pairs.every((pair) => Array.isArray(pair) && typeof pair[0] === "string")) {
    throw new DatasetError(file, "labels that are no pairs", "the name and label of each image");
  }
  const table = new Map<string, unknown>();
  for (const [written, label] of pairs) {
    const name = written.replaceAll("\\", "/");
    const [one, other] = [table.get(name), label].map((value) => JSON.stringify(value));
    if (table.has(name) && one !== other) {
      throw new DatasetError(
        file,
        `the labels ${one} and ${other} of ${name}`,
        "one of each image",
      );
    }
    table.set(name, label);
  }
  return table;
}

function isClass(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < MOST_CLASSES;
}

/** Where the only 1 among zeros is; −1 if numbers are others. */
function oneHot(values: readonly unknown[]): number {
  const ones = values.filter((v) => v === 1).length;
  const zeros = values.filter((v) => v === 0).length;
  return values.length > 1 && ones === 1 && zeros === values.length - 1 ? values.indexOf(1) : -1;
}
