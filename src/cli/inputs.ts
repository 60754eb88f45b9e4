/**
 * The files that a run reads, which it never writes to.
 *
 * @module
 */
import { basename, dirname, join, resolve, SEPARATOR } from "@std/path";
import { pathOfSpec, splitSpec } from "../datasets/_spec.ts";
import type { OptionTexts } from "./options.ts";
import { UsageError } from "./values.ts";

/** A file or folder that an option names. */
interface Input {
  readonly option: string;
  readonly path: string;
  /** Whether any image in it is part of the data. */
  readonly images: boolean;
}

/** What is read, by whatever name: links and detours lead to the same file. */
export class Inputs {
  readonly #inputs: readonly Input[];

  /** @param texts The options. */
  constructor(texts: OptionTexts) {
    const { data, init, codec, from } = texts;
    const input = (option: string, path: string | undefined, images = false): Input[] =>
      path === undefined ? [] : [{ option, path, images }];
    const text = (value: string | true | undefined) =>
      typeof value === "string" ? value : undefined;
    const spec = text(data) ?? "";
    this.#inputs = [
      ...input("data", pathOfSpec(spec), splitSpec(spec)[0] === "images"),
      ...input("init", text(init)),
      ...input("codec", /^autoencoder:(.+)$/s.exec(text(codec) ?? "")?.[1]),
      ...input("from", text(from)),
    ];
  }

  /**
   * Refuses a file to be written that is an input, or would become one.
   *
   * @throws {UsageError} If it is or would.
   */
  async check(file: string): Promise<void> {
    const there = await realPath(file),
      place = join(await realFolder(dirname(file)), basename(file));
    for (const { option, path, images } of this.#inputs) {
      const real = await realPath(path);
      if (real === undefined) continue;
      if (there !== undefined && await isPartOf(there, real)) {
        throw new UsageError(
          `Cannot write ${file}: it is what --${option} reads, wanted another --out`,
        );
      }
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
