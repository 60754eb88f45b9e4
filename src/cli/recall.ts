/**
 * Runs that are repeated: options from the record of an earlier one.
 *
 * @module
 */
import { resolve } from "@std/path";
import { sha256 } from "../base/_sha256.ts";
import { ByteReader, readUnsized } from "../datasets/_files.ts";
import { DATASET_SPECS } from "../datasets/load.ts";
import { DatasetError } from "../base/errors.ts";
import { CODEC_SPECS } from "./codec.ts";
import { filesBesidesData } from "./inputs.ts";
import { OPTIONS } from "./options.ts";
import type { OptionTexts } from "./options.ts";
import { PACKAGE } from "./package.ts";
import { UsageError } from "./values.ts";

/** Options that say how to report a run or where to, which is not the run. */
export const NOT_RECORDED: readonly string[] = [
  "from",
  "out",
  "overwrite",
  "quiet",
  "json",
  "help",
];

/** Options that mean nothing once another one is changed. */
const BELONGING: Readonly<Record<string, readonly string[]>> = {
  data: ["class", "limit", "layout", "stream"],
  denoiser: [
    ...["k", "m", "proxy", "schedule", "no-tail", "tiles", "tolerance", "components", "rank"],
    ...["windows", "theta"],
    ...["bandwidth", "draws", "draw-kind", "neighbours", "concentration"],
  ],
  sampler: ["sampler-tolerance"],
  grid: ["start"],
  init: ["count"],
};

/** The largest record. */
const MOST_BYTES = 2 ** 28;

/** What a record says about a run. */
export interface Recalled {
  /** The options of the run, in the form of the command line. */
  readonly texts: OptionTexts;
  /** The record's file, if the run is a repetition of the same data. */
  readonly sameData?: {
    /** The file. */
    readonly file: string;
    /** The SHA-256 of the data. */
    readonly digest: string;
  };
}

/**
 * The options that a record keeps. Paths become absolute, so that a repetition reads the same files
 * from wherever it is started, and wherever the record lies by then.
 *
 * @param texts The options as given.
 * @param device The device that was used.
 */
export function recordedTexts(texts: OptionTexts, device: string): OptionTexts {
  const kept = Object.entries(texts).filter(([name]) => !NOT_RECORDED.includes(name))
    .map(([name, value]) => [name, typeof value === "string" ? absolute(name, value) : value]);
  // Another device rounds differently.
  return { ...Object.fromEntries(kept), device };
}

/** The SHA-256 of what the files hold that options name besides the data, in hexadecimal digits, by option. */
export async function inputDigests(
  texts: OptionTexts,
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const [name, file] of Object.entries(filesBesidesData(texts))) {
    digests[name] = await digestOf(file, signal);
  }
  return digests;
}

/** Not in one piece: a small file may be a large one, compressed. */
async function digestOf(file: string, signal?: AbortSignal): Promise<string> {
  await using reader = await ByteReader.open(file, signal);
  return (await sha256(reader.chunks())).toHex();
}

/** A run can only be repeated on the files that it read. */
async function checkInputs(
  kept: OptionTexts,
  recorded: unknown,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const digests = isObject(recorded) ? recorded : {};
  for (const [name, digest] of Object.entries(await inputDigests(kept, signal))) {
    if (digests[name] === undefined || digests[name] === digest) continue;
    throw new UsageError(
      `Cannot repeat ${file}: ${
        kept[name]
      } is another file than that of the record, wanted the same or --${name}`,
    );
  }
}

function absolute(name: string, text: string): string {
  if (name === "init") return resolve(text);
  const forms = name === "data" ? DATASET_SPECS : name === "codec" ? CODEC_SPECS : [];
  const [, scheme, path] = /^([^:]*):(.+)$/s.exec(text) ?? [];
  const named = (forms as readonly string[]).includes(`${scheme}:PATH`);
  return named ? `${scheme}:${resolve(path)}` : text;
}

/**
 * Completes options by those of the record that they name.
 *
 * @param given The options as given; they go before those of the record.
 * @throws {DatasetError} If the record is missing, none, or of another version.
 * @throws {UsageError} If a file that the run read besides the data is another one by now.
 */
export async function recall(given: OptionTexts, signal?: AbortSignal): Promise<Recalled> {
  if (given.from === undefined) return { texts: given };
  const file = String(given.from);
  const record = parse(await readUnsized(file, MOST_BYTES, signal), file);
  const recorded = textsOf(record.arguments, file);
  const dropped = Object.keys(given).flatMap((name) => BELONGING[name] ?? []);
  const kept = Object.fromEntries(
    Object.entries(recorded).filter(([name]) => !dropped.includes(name)),
  );
  const { from: _, ...rest } = given;
  const texts = { ...kept, ...rest };
  const unchanged = Object.entries(kept).filter(([name]) => rest[name] === undefined);
  await checkInputs(Object.fromEntries(unchanged), record.inputs, file, signal);
  const digest = (record.data as { sha256?: unknown } | undefined)?.sha256;
  const same = typeof digest === "string" &&
    ["data", ...BELONGING.data].every((name) => given[name] === undefined);
  return {
    texts,
    ...(same && { sameData: { file, digest } }),
  };
}

function parse(bytes: Uint8Array, file: string): Record<string, unknown> {
  const wanted = `the run.json of a run by ${PACKAGE}`;
  let record: unknown;
  try {
    record = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new DatasetError(file, "no JSON", wanted, { cause });
  }
  if (!isObject(record) || typeof record.package !== "string") {
    throw new DatasetError(file, "JSON that is no record of a run", wanted);
  }
  if (record.package !== PACKAGE) {
    const maker = record.package.slice(0, 80).replaceAll(/\s+/g, " ");
    throw new DatasetError(file, `a record of ${maker}`, wanted);
  }
  if (!isObject(record.arguments)) {
    throw new DatasetError(file, "a record without arguments", wanted);
  }
  return record;
}

function textsOf(values: unknown, file: string): OptionTexts {
  for (const [name, value] of Object.entries(values as object)) {
    const known = Object.hasOwn(OPTIONS, name) && !NOT_RECORDED.includes(name);
    const type = known ? OPTIONS[name as keyof typeof OPTIONS].type : undefined;
    if (!known || typeof value !== type || value === false) {
      const found = `the option ${name.slice(0, 40)} with ${JSON.stringify(value)?.slice(0, 60)}`;
      throw new DatasetError(file, found.replaceAll(/\s+/g, " "), "an option of the command line");
    }
  }
  return values as OptionTexts;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
