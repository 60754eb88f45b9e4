/** Disks that are full or refuse to be written to. */
import assert from "node:assert/strict";
import { withFolder } from "./files.ts";

/**
 * Runs `body` with a folder on a disk of so many kilobytes, or of one that cannot be written. That takes the
 * right to mount; `undefined` where there is none.
 */
export async function withDisk(
  options: { readonly kilobytes: number; readonly readOnly?: boolean },
  body: (folder: string) => Promise<void>,
): Promise<"done" | undefined> {
  let done: "done" | undefined;
  await withFolder(async (folder) => {
    const kind = `size=${options.kilobytes}k${options.readOnly ? ",ro" : ""}`;
    if (!await command("mount", "-t", "tmpfs", "-o", kind, "closedform", folder)) return;
    try {
      await body(folder);
    } finally {
      assert.ok(await command("umount", folder), `cannot unmount ${folder}`);
    }
    done = "done";
  });
  return done;
}

async function command(name: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(name, { args, stderr: "null" }).output();
    return success;
  } catch (error) {
    // There is no mount on this machine.
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
