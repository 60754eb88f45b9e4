/**
 * The files that a run reads, which it never writes to.
 *
 * @module
 */
import { basename, dirname, join, resolve, SEPARATOR } from "@std/path";
import { pathOfSpec, splitSpec } from "../datasets/_spec.ts";
import type { OptionTexts } from "./options.ts";
import { UsageError } from "./values.ts";

/** The file that the text of an option names, of those that name one besides the data. */
const FILES: Readonly<Record<string, (text: string) => string | undefined>> = {
  init: (text) => text,
  codec: (text) => /^autoencoder:(.+)$/s.exec(text)?.[1],
};

/** The files that options name besides the data, by option. */
export function filesBesidesData(texts: OptionTexts): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [option, fileOf] of Object.entries(FILES)) {
    const text = texts[option];
    const file = typeof text === "string" ? fileOf(text) : undefined;
    if (file !== undefined) files[option] = file;
  }
  return files;
}

/** What is read, by whatever name: links and detours lead to the same file. */
export class Inputs {
  /** Files and folders, by the option that names them. */
  readonly #paths: Readonly<Record<string, string | undefined>>;
  /** Whether any image in the data's folder is part of the data. */
  readonly #images: boolean;

  /** @param texts The options. */
  constructor(texts: OptionTexts) {
    const { data = "", from } = texts, spec = String(data);
    this.#paths = {
      data: pathOfSpec(spec),
      ...filesBesidesData(texts),
      ...(from !== undefined && { from: String(from) }),
    };
    this.#images = splitSpec(spec)[0] === "images";
  }

  /**
   * Refuses a file to be written that is an input, or would become one.
   *
   * @throws {UsageError} If it is or would.
   */
  async check(file: string): Promise<void> {
    const there = await realPath(file),
      place = join(await realFolder(dirname(file)), basename(file));
    for (const [option, path] of Object.entries(this.#paths)) {
      const real = path === undefined ? undefined : await realPath(path);
      if (real === undefined) continue;
      if (there !== undefined && await isPartOf(there, real)) {
        throw new UsageError(
          `Cannot write ${file}: it is what --${option} reads, wanted another --out`,
        );
      }
      const images = option === "data" && this.#images;
      if (images && /\.(png|jpe?g)$/i.test(place) && place.startsWith(real + SEPARATOR)) {
        throw new UsageError(
          `Cannot write ${file}: it would be among the images of --${option} next time, wanted another --out`,
        );
      }
    }
  }
}

/** Whether a file is an input, or by another link one of the files in a folder that is. */
async function isPartOf(file: string, input: string): Promise<boolean> {
  const [one, other] = await Promise.all([Deno.stat(file), Deno.stat(input)]);
  if (file === input || isSame(one, other)) return true;
  if (!other.isDirectory || (one.nlink ?? 2) < 2) return false;
  for (const path of await filesIn(input)) {
    if (path !== file && isSame(one, await Deno.stat(path))) return true;
  }
  return false;
}

function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return Boolean(a.ino) && a.ino === b.ino && a.dev === b.dev;
}

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isFile) files.push(path);
    else if (isDirectory) files.push(...await filesIn(path));
  }
  return files;
}

/** Where a path leads, links followed; nothing if nothing is there, which is for the reader to say. */
async function realPath(path: string): Promise<string | undefined> {
  return await Deno.realPath(path).catch(() => undefined);
}

/** Where a folder is or will be. */
async function realFolder(path: string): Promise<string> {
  const whole = resolve(path), real = await realPath(whole);
  if (real !== undefined || dirname(whole) === whole) return real ?? whole;
  return join(await realFolder(dirname(whole)), basename(whole));
}
