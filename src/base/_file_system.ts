/** What the file system grants, and how it fails. */

/** Whether there are files, and a permission: asking first keeps Deno from asking the user. */
export async function granted(name: "read" | "write", path: string): Promise<boolean> {
  return typeof Deno === "object" &&
    (await Deno.permissions.query({ name, path })).state === "granted";
}

/**
 * The bytes of a regular file, if its beginning is as wanted; nothing if it is no regular file: a pipe waits for its other
 * end, and a device never ends.
 *
 * @param file The file. Links are followed.
 * @param begins Whether to read on, by the first bytes, at most `head` of them, and the size.
 * @param head How many first bytes are looked at.
 */
export async function readRegular(
  file: string,
  begins: (head: Uint8Array, size: number) => boolean = () => true,
  head = 0,
): Promise<Uint8Array | undefined> {
  if (!(await Deno.stat(file)).isFile) return undefined;
  using open = await Deno.open(file);
  const { isFile, size } = await open.stat();
  const lead = new Uint8Array(Math.min(size, head));
  if (!isFile || await fill(open, lead) < lead.length || !begins(lead, size)) return undefined;
  const bytes = new Uint8Array(size);
  bytes.set(lead);
  return bytes.subarray(0, lead.length + await fill(open, bytes.subarray(lead.length)));
}

async function fill(open: Deno.FsFile, target: Uint8Array): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const read = await open.read(target.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return filled;
}

/** A read-only folder, a full disk and the like, as opposed to a mistake of ours. */
export function isFileSystemError(error: unknown): error is Error {
  return error instanceof Error &&
    // Some errors have no class of their own, a few no code either.
    (Object.values(Deno.errors).some((E) => error instanceof E) || "code" in error ||
      /\(os error \d+\)/.test(error.message));
}
