/**
 * The files of a run: written whole or not at all.
 *
 * @module
 */
import { join } from "@std/path";
import { isFileSystemError } from "../_file_system.ts";
import { checkWritable, removeAbandoned, temporaryName, writing } from "../_temporary_file.ts";

/** Vouches for the others: where it is, all files are of its run. */
const SEAL = "run.json";
const OTHERS = [
  "samples.png",
  "samples.npy",
  "samples.ply",
  "samples.npz",
  "trajectory.png",
] as const;

/** The files that runs write. */
export type RunFile = typeof SEAL | typeof OTHERS[number];

/** A folder that takes all files of a run, or none. */
export class OutputFolder {
  readonly #path: string;
  readonly #created: boolean;
  readonly #pending = new Map<RunFile, string>();

  private constructor(path: string, created: boolean) {
    this.#path = path;
    this.#created = created;
  }

  /**
   * Makes sure, before any work is done, that the folder is there and takes files, and removes what
   * killed runs left in it.
   *
   * @param path The folder; it is made if missing.
   * @throws {WriteError} If it cannot be written to.
   */
  static async open(path: string): Promise<OutputFolder> {
    const there = await Deno.stat(path).then((s) => s.isDirectory, () => false);
    await writing(path, () => Deno.mkdir(path, { recursive: true }));
    await checkWritable(join(path, SEAL));
    await removeAbandoned(path);
    return new OutputFolder(path, !there);
  }

  /** The path of a file in the folder. */
  path(name: RunFile): string {
    return join(this.#path, name);
  }

  /**
   * Writes a file under a temporary name.
   *
   * @throws {WriteError} If the folder does not take it.
   */
  async write(name: RunFile, bytes: Uint8Array | string): Promise<void> {
    const temporary = temporaryName(this.path(name));
    this.#pending.set(name, temporary);
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    await writing(this.path(name), () => Deno.writeFile(temporary, data));
  }

  /**
   * Gives all files their names, in place of those of an earlier run. There is no `run.json` from before the
   * first change to after the last one: a process that is killed in between leaves a folder without one.
   *
   * @returns Their paths, in the order in which they were written.
   * @throws {WriteError} If a file cannot be replaced; then there is no `run.json`.
   */
  async commit(): Promise<string[]> {
    const names = [...this.#pending.keys()];
    await this.#remove(SEAL);
    for (const name of OTHERS) {
      if (names.includes(name)) await this.#rename(name);
      else await this.#remove(name);
    }
    if (names.includes(SEAL)) await this.#rename(SEAL);
    return names.map((name) => this.path(name));
  }

  /**
   * Removes what was written since the last commit, and the folder if it was made for nothing. What
   * cannot be removed, another run will remove.
   */
  async discard(): Promise<void> {
    try {
      for (const temporary of this.#pending.values()) await removeIfThere(temporary);
      this.#pending.clear();
      // Fails if there is something in it.
      if (this.#created) await Deno.remove(this.#path);
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
    }
  }

  async #rename(name: RunFile): Promise<void> {
    const temporary = this.#pending.get(name)!;
    await writing(this.path(name), () => Deno.rename(temporary, this.path(name)));
    this.#pending.delete(name);
  }

  async #remove(name: RunFile): Promise<void> {
    await writing(this.path(name), () => removeIfThere(this.path(name)));
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
