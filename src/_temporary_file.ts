/** Files in the making: they have names of their own until they are whole, and are then renamed. */
import { WriteError } from "./errors.ts";
import { granted, isFileSystemError } from "./_file_system.ts";

/** Such a file is written within minutes: one that nothing went into for so many milliseconds, a killed process left. */
const ABANDONED = 24 * 60 * 60 * 1000;

const NAME = /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.part$/;

/** The name of a file in the making: beside the whole one, and of no other process. */
export function temporaryName(file: string): string {
  return `${file}.${crypto.randomUUID()}.part`;
}

/**
 * Makes sure, before any work is done, that a file can be written.
 *
 * @throws {WriteError} If not.
 */
export async function checkWritable(file: string): Promise<void> {
  await writing(file, async () => {
    const probe = temporaryName(file);
    await Deno.writeFile(probe, new Uint8Array(0));
    await Deno.remove(probe);
  });
}

/**
 * Does what writes a file.
 *
 * @throws {WriteError} If the file system fails.
 */
export async function writing(file: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    throw isFileSystemError(error) ? new WriteError(file, error) : error;
  }
}

/**
 * Removes what killed processes left of files in the making, in a folder. Those of living ones stay, and
 * what cannot be removed stays too: it takes up room, and is never read.
 */
export async function removeAbandoned(folder: string): Promise<void> {
  if (!await granted("read", folder) || !await granted("write", folder)) return;
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile && NAME.test(name)) await removeIfOld(`${folder}/${name}`);
    }
  } catch (error) {
    if (!isFileSystemError(error)) throw error;
  }
}

async function removeIfOld(file: string): Promise<void> {
  const { mtime } = await Deno.lstat(file);
  if (mtime && Date.now() - mtime.getTime() > ABANDONED) await Deno.remove(file);
}

/** The folder of a file, without a path library: pages load this file too. */
export function folderOf(file: string): string {
  return file.slice(0, Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1) || ".";
}
