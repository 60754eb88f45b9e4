/** Temporary folders, and the files that tests write into them. */
import { join } from "@std/path";
import { DatasetError } from "@closedform/diffusion";
import assert from "node:assert/strict";

/** Runs `body` with a new folder, which is removed in the end. */
export async function withFolder(
  body: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes a file, with the folders it lies in, and returns its path. */
export async function write(
  folder: string,
  name: string,
  content: Uint8Array | string,
): Promise<string> {
  const path = join(folder, name);
  await Deno.mkdir(join(path, ".."), { recursive: true });
  if (typeof content === "string") await Deno.writeTextFile(path, content);
  else await Deno.writeFile(path, content);
  return path;
}

/** The error with which the promise rejects; fails unless it is a `DatasetError` about `file` whose message matches. */
export async function rejectsAbout(
  promise: Promise<unknown>,
  file: string,
  message: RegExp = /./,
): Promise<DatasetError> {
  const error = await promise.then(
    () => assert.fail(`nothing thrown about ${file}`),
    (error) => error,
  );
  assert.ok(error instanceof DatasetError, `not a DatasetError: ${error}`);
  assert.ok(error.file.startsWith(file), `${error.file} is not about ${file}`);
  assert.match(error.message, message);
  return error;
}
