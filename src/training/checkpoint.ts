/**
 * Checkpoints: where a training stands, on disk.
 *
 * @module
 */
import { granted, readRegular } from "../base/_file_system.ts";
import { withFolderLock } from "../base/_folder_lock.ts";
import { folderOf, temporaryName, writing } from "../base/_temporary_file.ts";
import { FolderTransaction, recover } from "../base/_transaction.ts";
import { checkRoom } from "../base/_memory.ts";
import { fileError } from "../datasets/_files.ts";
import { DatasetError, WriteError } from "../base/errors.ts";
import type { OptimiserState } from "./adam.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import type { Weight, Weights } from "./weights.ts";

/** Where an optimisation stands, and what its caller wants to know when it continues. */
export interface Checkpoint {
  /** The state of the optimiser. */
  readonly state: OptimiserState;
  /** Notes: text by name. */
  readonly notes: Readonly<Record<string, string>>;
  /** More arrays. */
  readonly extra: Weights;
}

const PARTS = ["weights", "first", "second", "average"] as const;

/**
 * Encodes a checkpoint as a safetensors file, bit for bit.
 *
 * @param checkpoint State, notes and more arrays.
 * @returns The bytes of the file: arrays are named `part/name`.
 *
 * @example
 * ```ts
 * import { beginOptimising, decodeCheckpoint, encodeCheckpoint, zeroWeight } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const state = beginOptimising({ bias: zeroWeight([2]) });
 * const bytes = encodeCheckpoint({ state, notes: {}, extra: {} });
 * assert.deepEqual(decodeCheckpoint(bytes, "x.safetensors").state, state);
 * ```
 */
export function encodeCheckpoint({ state, notes, extra }: Checkpoint): Uint8Array {
  const arrays: Record<string, Weight> = {};
  const groups = { ...Object.fromEntries(PARTS.map((part) => [part, state[part]])), extra };
  for (const [part, weights] of Object.entries(groups)) {
    for (const [name, weight] of Object.entries(weights)) arrays[`${part}/${name}`] = weight;
  }
  return encodeSafetensors({ weights: arrays, notes: { ...notes, step: String(state.step) } });
}

/**
 * Decodes a checkpoint.
 *
 * @param bytes The bytes of the file.
 * @param file The file's name, for messages.
 * @returns State, notes and more arrays.
 * @throws {DatasetError} If the file is damaged, ends early, or is no checkpoint.
 *
 * @example
 * ```ts
 * import { DatasetError } from "@closedform/diffusion";
 * import { decodeCheckpoint } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => decodeCheckpoint(new Uint8Array(20), "x.safetensors"), DatasetError);
 * ```
 */
export function decodeCheckpoint(bytes: Uint8Array, file: string): Checkpoint {
  const { weights, notes } = decodeSafetensors(bytes, file);
  const part = (name: string): Weights =>
    Object.fromEntries(
      Object.entries(weights).filter(([key]) => key.startsWith(`${name}/`)).map((
        [key, weight],
      ) => [key.slice(name.length + 1), weight]),
    );
  const [own, first, second, average] = PARTS.map(part);
  const step = Number(notes.step);
  const names = (group: Weights) => Object.keys(group).sort().join();
  if (
    !Number.isInteger(step) || names(own) === "" ||
    [first, second, average].some((group) => names(group) !== names(own))
  ) {
    throw new DatasetError(file, "other contents", "a checkpoint of a training");
  }
  return { state: { step, weights: own, first, second, average }, notes, extra: part("extra") };
}

/**
 * Writes a file whole or not at all: under another name, which is then changed. What a killed process left of this is
 * removed by the next one, and nothing else.
 *
 * @param file Where to.
 * @param bytes What.
 * @throws {WriteError} If it cannot be written: a full disk, a folder that is not there.
 *
 * @example
 * ```ts
 * import { writeWhole } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * await writeWhole(`${folder}/x`, Uint8Array.of(7));
 * assert.deepEqual([...await Deno.readFile(`${folder}/x`)], [7]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const folder = folderOf(file);
  if (!await granted("read", folder) || !await granted("write", folder)) {
    return await writeAlone(file, bytes);
  }
  const transaction = new FolderTransaction(folder);
  try {
    await writing(file, () => withFolderLock(folder, () => recover(folder)));
    await transaction.write(file.slice(folder === "." ? 0 : folder.length), bytes);
    await transaction.commit();
  } catch (error) {
    throw error instanceof WriteError ? new WriteError(file, error.cause as Error) : error;
  } finally {
    await transaction.discard();
  }
}

/** Without a look at the folder, which may not be read. */
async function writeAlone(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryName(file);
  try {
    await writing(file, async () => {
      await Deno.writeFile(temporary, bytes);
      await Deno.rename(temporary, file);
    });
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Reads a file, if there is one.
 *
 * @param file Which.
 * @returns Its bytes; nothing if there is no such file.
 * @throws {DatasetError} If it is no regular file, or cannot be read.
 * @throws {RangeError} If it does not fit in memory.
 */
export async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readRegular(file, (_, size) => (checkRoom(`read ${file}`, "it", size), true));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw fileError(file, "a file", error);
  }
  if (!bytes) throw new DatasetError(file, "a folder, device or pipe", "a file");
  return bytes;
}
