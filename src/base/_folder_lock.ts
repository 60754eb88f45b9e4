/** One process at a time in a folder. */

/** Locked while a process changes files of the folder; it is empty, and gone afterwards. */
const NAME = ".closedform.lock";

/** Does what must not be disturbed by other processes in a folder. The system frees the lock of a killed one. */
export async function withFolderLock<T>(folder: string, body: () => Promise<T>): Promise<T> {
  const path = `${folder}/${NAME}`;
  using lock = await locked(path);
  try {
    return await body();
  } finally {
    // Under the lock: a process that waits for it finds that the file is gone, and makes a new one.
    if ((await lock.stat()).size === 0) await Deno.remove(path).catch(() => {});
  }
}

async function locked(path: string): Promise<Deno.FsFile> {
  for (;;) {
    const file = await Deno.open(path, { create: true, read: true, write: true });
    try {
      await file.lock(true);
      if (await isAt(file, path)) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/** Whether an open file is still the one at a path. */
async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [open, there] = await Promise.all([file.stat(), Deno.stat(path)]);
    return open.ino === there.ino && open.dev === there.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
