/** Files in the making: they have names of their own until they are whole, and are then renamed. */
import { WriteError } from "./errors.ts";
import { isFileSystemError } from "./_file_system.ts";

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
    if (error instanceof WriteError) throw error;
    throw isFileSystemError(error) ? new WriteError(file, error) : error;
  }
}

/** The folder of a file, without a path library: pages load this file too. */
export function folderOf(file: string): string {
  return file.slice(0, Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1) || ".";
}
