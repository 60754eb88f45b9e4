/** NumPy arrays from files: first the header, then no more than it promises. */
import { inTurns } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { allocate, ByteReader } from "./_files.ts";
import { HEADER_MOST, readNpyHeader } from "./_npy_header.ts";
import { numbersOf } from "./_npy_numbers.ts";
import type { NpyArray } from "./npy.ts";

/** Reads a `.npy` file, gzipped or not. */
export async function readArrayFile(path: string, signal?: AbortSignal): Promise<NpyArray> {
  await using reader = await ByteReader.open(path, signal);
  return await readArray(reader, signal);
}

/** Reads the array of an open `.npy` file. */
export async function readArray(reader: ByteReader, signal?: AbortSignal): Promise<NpyArray> {
  const { file } = reader;
  const most = new Uint8Array(Math.min(HEADER_MOST, reader.most));
  const lead = most.subarray(0, await reader.fill(most));
  const header = readNpyHeader(lead, reader.size, file);
  const { start, size, shape } = header;
  if (size > reader.most - start) {
    throw new DatasetError(
      file,
      `shape [${shape}] in a file too small for it`,
      `${size.toLocaleString("en")} bytes`,
    );
  }
  const body = allocate(file, size);
  const first = lead.subarray(start, start + size);
  body.set(first);
  await reader.fillAll(body.subarray(first.length), `shape [${shape}]`);
  if (lead.length > start + size) {
    throw new DatasetError(file, `more bytes after shape [${shape}]`, "the end of the file");
  }
  await reader.expectEnd(`shape [${shape}]`);
  return await inTurns(numbersOf(body, header, file), signal);
}
