/**
 * The files of a run: written whole or not at all, in place of those of an earlier run and of nothing else.
 *
 * @module
 */
import { join } from "@std/path";
import { isFileSystemError } from "../base/_file_system.ts";
import { withFolderLock } from "../base/_folder_lock.ts";
import { checkWritable, writing } from "../base/_temporary_file.ts";
import { digestOf, FolderTransaction, recover } from "../base/_transaction.ts";
import { Inputs } from "./inputs.ts";
import { PACKAGE_NAME } from "./package.ts";
import { UsageError } from "./values.ts";

/** Vouches for the others: where it is, all files that it names are of its run. */
const RECORD = "run.json";
const OTHERS = [
  "samples.png",
  "samples.npy",
  "samples.ply",
  "samples.npz",
  "trajectory.png",
] as const;
/** The largest record. */
const MOST_RECORD = 2 ** 28;

/** The files that runs write. */
export type RunFile = typeof RECORD | typeof OTHERS[number];

/** What to heed besides earlier runs. */
export interface OutputOptions {
  /** The files that the run will write, so that those in their way are found before any work. Default: none. */
  readonly files?: readonly RunFile[];
  /** What the run reads. Default: nothing. */
  readonly inputs?: Inputs;
  /** Whether to replace files that are not of an earlier run; never inputs. Default false. */
  readonly overwrite?: boolean;
}

/** A folder that takes all files of a run, or none. */
export class OutputFolder {
  readonly #path: string;
  readonly #created: boolean;
  readonly #transaction: FolderTransaction;
  readonly #inputs: Inputs;
  readonly #overwrite: boolean;

  private constructor(path: string, created: boolean, { inputs, overwrite }: OutputOptions) {
    this.#path = path;
    this.#created = created;
    this.#transaction = new FolderTransaction(path);
    this.#inputs = inputs ?? new Inputs({});
    this.#overwrite = overwrite ?? false;
  }

  /**
   * Makes sure, before any work is done, that the folder is there and takes the files, and settles what
   * killed runs left in it.
   *
   * @param path The folder; it is made if missing.
   * @param options What will be written, and what must stay.
   * @throws {UsageError} If a file of somebody else is in the way, or an input.
   * @throws {WriteError} If it cannot be written to.
   */
  static async open(path: string, options: OutputOptions = {}): Promise<OutputFolder> {
    const { files = [] } = options;
    const there = await Deno.stat(path).then((s) => s.isDirectory, () => false);
    const folder = new OutputFolder(path, !there, options);
    await folder.#checkInputs(files);
    await writing(path, () => Deno.mkdir(path, { recursive: true }));
    await checkWritable(join(path, RECORD));
    await writing(path, () =>
      withFolderLock(path, async () => {
        await recover(path);
        await folder.#check(files);
      }));
    return folder;
  }

  /** The path of a file in the folder. */
  path(name: RunFile): string {
    return join(this.#path, name);
  }

  /** The SHA-256 of each file that was written, in hexadecimal digits, by which another run will know them. */
  get digests(): Readonly<Record<string, string>> {
    return { ...this.#transaction.digests };
  }

  /**
   * Writes a file under a temporary name.
   *
   * @throws {WriteError} If the folder does not take it.
   */
  async write(name: RunFile, bytes: Uint8Array | string): Promise<void> {
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    await this.#transaction.write(name, data);
  }

  /**
   * Gives all files their names, and removes those of the earlier run that have no successor. There is no `run.json`
   * from before the first change to after the last one; if a process is killed in between, the next one to
   * open the folder brings the earlier run back.
   *
   * @returns Their paths, in the order in which they were written.
   * @throws {UsageError} If something came in the way meanwhile.
   * @throws {WriteError} If a file cannot be replaced; then all are as they were.
   */
  async commit(): Promise<string[]> {
    const names = Object.keys(this.#transaction.digests) as RunFile[];
    await this.#transaction.commit(async () => {
      await this.#checkInputs(names);
      const own = await this.#check(names);
      return own.filter((name) => !names.includes(name));
    });
    return names.map((name) => this.path(name));
  }

  /**
   * Removes what was written since the last commit, and the folder if it was made for nothing. What
   * cannot be removed, another run will remove.
   */
  async discard(): Promise<void> {
    try {
      await this.#transaction.discard();
      // Fails if there is something in it; what is no folder by now is not ours.
      if (this.#created && await kindOf(this.#path) === "a folder") await Deno.remove(this.#path);
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
    }
  }

  /** An error if any of these is an input. */
  async #checkInputs(names: readonly RunFile[]): Promise<void> {
    for (const name of names) await this.#inputs.check(this.path(name));
  }

  /** The files of the earlier run; an error if any other is in the way of these. */
  async #check(names: readonly RunFile[]): Promise<RunFile[]> {
    const own = await filesOfRecord(this.#path);
    for (const name of names) {
      const path = this.path(name);
      const found = own.includes(name) ? undefined : await kindOf(path);
      if (found === undefined || (this.#overwrite && found !== "a folder")) continue;
      throw new UsageError(
        `Cannot write ${path}: ${found} is there that is not of an earlier run, ` +
          `wanted another --out${found === "a folder" ? "" : ", or --overwrite"}`,
      );
    }
    return own;
  }
}

/** The files in a folder that its record names and that are still as it says, and the record itself. */
async function filesOfRecord(folder: string): Promise<RunFile[]> {
  const record = await readRecord(join(folder, RECORD));
  if (!record) return [];
  const own: RunFile[] = [RECORD];
  for (const name of OTHERS) {
    const path = join(folder, name), digest = record.files[name];
    if (
      digest !== undefined && await kindOf(path) === "a file" && await digestOf(path) === digest
    ) {
      own.push(name);
    }
  }
  return own;
}

/** The record of an earlier run, whatever its version. */
async function readRecord(path: string): Promise<{ files: Record<string, unknown> } | undefined> {
  if (await kindOf(path) !== "a file" || (await Deno.stat(path)).size > MOST_RECORD) {
    return undefined;
  }
  try {
    const record = JSON.parse(await Deno.readTextFile(path));
    const own = typeof record?.package === "string" &&
      record.package.startsWith(`${PACKAGE_NAME}@`);
    return own ? { files: Object(record.files) } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What lies at a path, in words; nothing if nothing does. */
async function kindOf(path: string): Promise<string | undefined> {
  try {
    const { isFile, isDirectory, isSymlink } = await Deno.lstat(path);
    if (isSymlink) return "a link";
    return isFile ? "a file" : isDirectory ? "a folder" : "a device or pipe";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
