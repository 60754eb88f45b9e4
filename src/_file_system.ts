/** What the file system grants, and how it fails. */

/** Whether there are files, and a permission: asking first keeps Deno from asking the user. */
export async function granted(name: "read" | "write", path: string): Promise<boolean> {
  return typeof Deno === "object" &&
    (await Deno.permissions.query({ name, path })).state === "granted";
}

/** A read-only folder, a full disk and the like, as opposed to a mistake of ours. */
export function isFileSystemError(error: unknown): error is Error {
  return error instanceof Error &&
    // Some errors have no class of their own, a few no code either.
    (Object.values(Deno.errors).some((E) => error instanceof E) || "code" in error ||
      /\(os error \d+\)/.test(error.message));
}
