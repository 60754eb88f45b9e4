/**
 * The files of a run: written whole or not at all.
 *
 * @module
 */
import { join } from "@std/path";

/** A folder that takes all files of a run, or none. */
export class OutputFolder {
  readonly #path: string;
  readonly #created: boolean;
  readonly #pending: { temporary: string; final: string }[] = [];

  private constructor(path: string, created: boolean) {
    this.#path = path;
    this.#created = created;
  }

  /**
   * Makes sure, before any work is done, that the folder is there and takes files.
   *
   * @param path The folder; it is made if missing.
   * @throws {Deno.errors.NotADirectory | Deno.errors.PermissionDenied} And its kind, if it cannot be written to.
   */
  static async open(path: string): Promise<OutputFolder> {
    const there = await Deno.stat(path).then((s) => s.isDirectory, () => false);
    await Deno.mkdir(path, { recursive: true });
    const folder = new OutputFolder(path, !there);
    const probe = folder.#temporary("probe");
    await Deno.writeFile(probe, new Uint8Array(0));
    await Deno.remove(probe);
    return folder;
  }

  /** The path of a file in the folder. */
  path(name: string): string {
    return join(this.#path, name);
  }

  /** Writes a file under a temporary name. */
  async write(name: string, bytes: Uint8Array | string): Promise<void> {
    const entry = { temporary: this.#temporary(name), final: this.path(name) };
    this.#pending.push(entry);
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    await Deno.writeFile(entry.temporary, data);
  }

  /**
   * Gives all files their names; each one replaces an older one at once.
   *
   * @returns Their paths, in the order in which they were written.
   */
  async commit(): Promise<string[]> {
    const paths = this.#pending.map(({ final }) => final);
    for (const { temporary, final } of this.#pending) await Deno.rename(temporary, final);
    this.#pending.length = 0;
    return paths;
  }

  /** Removes what was written since the last commit, and the folder if it was made for nothing. */
  async discard(): Promise<void> {
    for (const { temporary } of this.#pending) await removeIfThere(temporary);
    this.#pending.length = 0;
    if (!this.#created) return;
    const empty = [...Deno.readDirSync(this.#path)].length === 0;
    if (empty) await removeIfThere(this.#path);
  }

  #temporary(name: string): string {
    return join(this.#path, `.${name}.${Deno.pid}.part`);
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
