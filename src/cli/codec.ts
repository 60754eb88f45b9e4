/**
 * The space a run works in: that of the data, or a latent one.
 *
 * @module
 */
import { loadAutoencoder } from "../codecs/autoencoder_codec.ts";
import { encodeDataset } from "../codecs/codec.ts";
import type { Codec } from "../codecs/codec.ts";
import { pcaCodec } from "../codecs/pca_codec.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { RunData } from "./run_data.ts";
import { detailOf, UsageError } from "./values.ts";

/** Which codec, and what it is made of. */
export type CodecChoice = {
  /** Principal components of the data. */
  readonly kind: "pca";
  /** How many, if not the default. */
  readonly rank?: number;
} | {
  /** An autoencoder that was trained before. */
  readonly kind: "autoencoder";
  /** Its file. */
  readonly path: string;
};

/** The forms of `--codec`. */
export const CODEC_SPECS = ["pca", "pca:R", "autoencoder:PATH"] as const;

/** Dimensions from which on principal components take a while. */
const LONG = 1024;

/**
 * Parses `--codec`.
 *
 * @param text Its text, if it is given.
 * @returns The choice; nothing for none.
 * @throws {UsageError} If there is no such codec.
 */
export function parseCodec(text: string | undefined): CodecChoice | undefined {
  if (text === undefined) return undefined;
  const [, kind, rest] = /^([^:]*)(?::(.*))?$/s.exec(text)!;
  if (kind === "pca") {
    if (rest === undefined) return { kind };
    if (/^[1-9]\d{0,8}$/.test(rest)) return { kind, rank: Number(rest) };
  }
  if (kind === "autoencoder" && rest) return { kind, path: rest };
  throw new UsageError(`Cannot use --codec ${text}: wanted one of ${CODEC_SPECS.join(", ")}`);
}

/** Where a run samples. */
export interface WorkingSpace extends Disposable {
  /** The data there. */
  readonly data: RunData;
  /** The way there and back, if it is another space than that of the data. */
  readonly codec?: Codec;
  /** Samples of the data's space from rows of this one. */
  decode(rows: Float32Array): Promise<Float32Array>;
}

/**
 * Opens the space that the options name.
 *
 * @param data The data.
 * @param choice The codec, if any.
 * @param say Tells what takes long.
 * @returns The space. Dispose it after use; the data stay open.
 * @throws {UsageError} If the codec does not fit the data.
 */
export async function openSpace(
  data: RunData,
  choice: CodecChoice | undefined,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<WorkingSpace> {
  if (!choice) {
    return { data, decode: (rows) => Promise.resolve(rows), [Symbol.dispose]() {} };
  }
  if (data.rows) {
    throw new UsageError("Cannot use --codec with data that stay on disk: wanted data in memory");
  }
  using resources = new DisposableStack();
  try {
    const codec = resources.use(await openCodec(data.dataset, choice, say, signal));
    const latents = await encodeDataset(data.dataset, codec, { signal });
    say(`latents: ${codec.latentDimension} numbers for ${data.dataset.dimension}, ${codec.label}`);
    const held = resources.move();
    return {
      data: { dataset: latents, [Symbol.dispose]() {} },
      codec,
      decode: (rows) => codec.decode(rows, { signal }),
      [Symbol.dispose]: () => held.dispose(),
    };
  } catch (error) {
    const wrong = error instanceof RangeError || error instanceof TypeError;
    if (!wrong || signal?.aborted) throw error;
    throw new UsageError(`Cannot use --codec: ${detailOf(error)}`);
  }
}

async function openCodec(
  dataset: Dataset,
  choice: CodecChoice,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<Codec> {
  if (choice.kind === "autoencoder") return await loadAutoencoder(choice.path);
  const { rank } = choice;
  if (dataset.dimension >= LONG) say("the spectrum of the data may take a minute the first time");
  return await pcaCodec(dataset, { ...(rank !== undefined && { rank }), signal });
}
