/**
 * Files of one folder that change together, or not at all.
 *
 * ```text
 * .closedform.ID.part    the journal: which files are in the making, locked by the process that makes them
 * NAME.ID.part           a new file, until all are whole
 * NAME.ID.old.part       what it replaces, until all new ones are in place
 * ```
 *
 * A journal that nobody holds is that of a killed process: whoever comes next takes back what it began, or finishes
 * what it had decided. Only files of a journal are touched, whatever else has such a name.
 */
import { withFolderLock } from "./_folder_lock.ts";
import { isFileSystemError } from "./_file_system.ts";
import { sha256 } from "./_sha256.ts";
import { writing } from "./_temporary_file.ts";

const JOURNAL = /^\.closedform\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.part$/;
const MOST_JOURNAL = 2 ** 20;

/** A line of a journal: a file that is about to be written, or the decision to put all in place. */
type Entry = { readonly making: string } | Decision;

interface Decision {
  /** The file that is put in place last: with it, the change is done. */
  readonly last: string;
  /** The SHA-256 of each new file. */
  readonly files: Readonly<Record<string, string>>;
  /** Files that go. */
  readonly stale: readonly string[];
}

/** New files of a folder. */
export class FolderTransaction {
  readonly #folder: string;
  readonly #id = crypto.randomUUID();
  readonly #making = new Set<string>();
  readonly #digests: Record<string, string> = {};
  #journal?: Deno.FsFile;

  /** @param folder The folder, which is there. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The SHA-256 of each file that was written, in hexadecimal digits. */
  get digests(): Readonly<Record<string, string>> {
    return this.#digests;
  }

  /**
   * Writes a file under a temporary name.
   *
   * @throws {WriteError} If the folder does not take it.
   */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    await writing(`${this.#folder}/${name}`, async () => {
      this.#journal ??= await withFolderLock(
        this.#folder,
        () => openJournal(this.#folder, this.#id),
      );
      await append(this.#journal, { making: name });
      this.#making.add(name);
      await Deno.writeFile(partOf(this.#folder, name, this.#id), bytes);
    });
    this.#digests[name] = (await sha256([bytes])).toHex();
  }

  /**
   * Gives all files their names, the last one written last.
   *
   * @param check Which files go, decided while no other process changes the folder; it may refuse.
   * @throws {WriteError} If a file cannot be replaced; then all are as they were, or will be once the next process
   * has taken back what could not be taken back now.
   */
  async commit(check: () => Promise<readonly string[]> = () => Promise.resolve([])): Promise<void> {
    const names = Object.keys(this.#digests), last = names[names.length - 1];
    if (!this.#journal) return;
    const journal = this.#journal, folder = this.#folder;
    await writing(`${folder}/${last}`, () =>
      withFolderLock(folder, async () => {
        const stale = await check();
        const decision: Decision = { last, files: this.#digests, stale };
        await append(journal, decision);
        try {
          await putInPlace(folder, this.#id, decision);
        } finally {
          await this.#settle(decision);
        }
      }));
  }

  /** Removes what was written and not put in place. What cannot be removed, the next process will remove. */
  async discard(): Promise<void> {
    if (!this.#journal) return;
    try {
      await this.#settle(undefined);
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
    }
  }

  /** Ends the change as far as it goes. The journal goes last, so that the next process ends what could not be. */
  async #settle(decision: Decision | undefined): Promise<void> {
    try {
      await settle(this.#folder, this.#id, [...this.#making], decision);
      await removeIfThere(journalOf(this.#folder, this.#id));
    } finally {
      this.#journal?.close();
      this.#journal = undefined;
    }
  }
}

/** Settles what killed processes left in a folder, which nobody else may change meanwhile. */
export async function recover(folder: string): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const name of names) {
    const [, id] = JOURNAL.exec(name) ?? [];
    if (id === undefined) continue;
    const entries = await abandoned(`${folder}/${name}`, id);
    if (!entries) continue;
    const making = entries.flatMap((entry) => "making" in entry ? [entry.making] : []);
    await settle(folder, id, making, entries.find((entry) => "last" in entry));
    await removeIfThere(`${folder}/${name}`);
  }
}

function journalOf(folder: string, id: string): string {
  return `${folder}/.closedform.${id}.part`;
}

function partOf(folder: string, name: string, id: string): string {
  return `${folder}/${name}.${id}.part`;
}

function oldOf(folder: string, name: string, id: string): string {
  return `${folder}/${name}.${id}.old.part`;
}

/** The first line of a journal, which tells it from any other file. */
function headOf(id: string): string {
  return `files in the making of @closedform/diffusion, ${id}\n`;
}

async function openJournal(folder: string, id: string): Promise<Deno.FsFile> {
  const path = journalOf(folder, id);
  const file = await Deno.open(path, { createNew: true, read: true, write: true });
  try {
    await file.lock(true);
    await writeAll(file, headOf(id));
    return file;
  } catch (error) {
    file.close();
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

async function append(journal: Deno.FsFile, entry: Entry): Promise<void> {
  await writeAll(journal, JSON.stringify(entry) + "\n");
}

async function writeAll(file: Deno.FsFile, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** The lines of a journal that nobody holds; nothing if it is held, or none. */
async function abandoned(path: string, id: string): Promise<Entry[] | undefined> {
  if (!(await Deno.lstat(path)).isFile) return undefined;
  using file = await Deno.open(path, { read: true, write: true });
  if ((await file.stat()).size > MOST_JOURNAL || !await file.tryLock(true)) return undefined;
  const text = await Deno.readTextFile(path);
  if (!text.startsWith(headOf(id))) return undefined;
  // The last line may be cut off; what it announced was not begun.
  const lines = text.slice(headOf(id).length).split("\n").slice(0, -1);
  const entries = lines.map((line) => entryOf(line));
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

/** A line of a journal; nothing if it is none, or names what is not of its folder. */
function entryOf(line: string): Entry | undefined {
  let entry: Partial<{ making: string } & Decision>;
  try {
    entry = Object(JSON.parse(line));
  } catch {
    return undefined;
  }
  const { making, last, files, stale } = entry;
  const names = making === undefined
    ? [last, ...Object.keys(Object(files)), ...Array.isArray(stale) ? stale : [undefined]]
    : [making];
  const known = names.every((name) => typeof name === "string" && /^[^\\/]+$/.test(name));
  return known ? entry as Entry : undefined;
}

async function putInPlace(
  folder: string,
  id: string,
  { last, files, stale }: Decision,
): Promise<void> {
  const others = [...Object.keys(files).filter((name) => name !== last), ...stale];
  // A single file is replaced at once, and is never missing.
  const alone = others.length === 0;
  if (!alone) await setAside(folder, last, id);
  for (const name of others) {
    await setAside(folder, name, id);
    if (name in files) await place(folder, name, id);
  }
  await place(folder, last, id);
}

async function setAside(folder: string, name: string, id: string): Promise<void> {
  const path = `${folder}/${name}`;
  await writing(path, async () => {
    // A folder stays, and the file that is to replace it fails.
    if (await isThere(path) && !(await Deno.lstat(path)).isDirectory) {
      await Deno.rename(path, oldOf(folder, name, id));
    }
  });
}

async function place(folder: string, name: string, id: string): Promise<void> {
  const path = `${folder}/${name}`;
  await writing(path, () => Deno.rename(partOf(folder, name, id), path));
}

/** Finishes a change whose last file is in place, and takes back any other. */
async function settle(
  folder: string,
  id: string,
  making: readonly string[],
  decision: Decision | undefined,
): Promise<void> {
  const done = decision && !await isThere(partOf(folder, decision.last, id));
  if (decision && !done) {
    // The record of what was there comes back last.
    const names = [...Object.keys(decision.files), ...decision.stale]
      .filter((name) => name !== decision.last);
    for (const name of [...names, decision.last]) await takeBack(folder, id, name, decision);
  }
  for (const name of [...making, ...decision?.stale ?? []]) {
    await removeIfThere(oldOf(folder, name, id));
    await removeIfThere(partOf(folder, name, id));
  }
}

async function takeBack(
  folder: string,
  id: string,
  name: string,
  { files }: Decision,
): Promise<void> {
  const path = `${folder}/${name}`, old = oldOf(folder, name, id);
  const placed = name in files && !await isThere(partOf(folder, name, id));
  // What somebody put there since is his.
  if (await isThere(path) && !(placed && await digestOf(path) === files[name])) return;
  if (await isThere(old)) await Deno.rename(old, path);
  else if (placed) await removeIfThere(path);
}

/** Whether there is anything at a path, were it a link that leads nowhere. */
async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The SHA-256 of a regular file in hexadecimal digits; nothing of anything else. */
export async function digestOf(path: string): Promise<string | undefined> {
  if (!(await Deno.lstat(path)).isFile) return undefined;
  const file = await Deno.open(path);
  return (await sha256(file.readable)).toHex();
}
