/**
 * Decoding of large images in a thread of their own: decoders do their work without a break, and only a thread can be
 * ended in the middle of it.
 */
import type { Jimp } from "jimp";

/** What to decode. */
export interface ImageTask {
  /** A whole PNG or JPEG image. */
  readonly bytes: Uint8Array;
  /** Whether a JPEG stores red, green and blue themselves. */
  readonly rgb: boolean;
  /** The size to give it, if any: height and width. */
  readonly size?: readonly [number, number];
}

/** What comes of it. */
export interface DecodedImage {
  /** Width and height as they were decoded. */
  readonly decoded: readonly [number, number];
  readonly height: number;
  readonly width: number;
  /** Rows of red, green, blue; of another length if the decoder gave other pixels than it said. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** The decoder, as a thread imports it: by itself, it does not know what names stand for in this package. */
export const JIMP = "npm:jimp@^1.6.1";

/**
 * Decodes an image, lays it on white where it is transparent, and resizes it. A thread gets it as text: it may not use
 * anything but its arguments.
 */
export async function decodeWith(
  Decoder: typeof Jimp,
  { bytes, rgb, size }: ImageTask,
): Promise<DecodedImage> {
  const image = await Decoder.fromBuffer(bytes.slice().buffer, {
    // The decoder takes three components for YCbCr unless it is told.
    "image/jpeg": { maxMemoryUsageInMB: 4096, ...(rgb && { colorTransform: false }) },
  });
  const { width, height } = image.bitmap, rgba = image.bitmap.data;
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3];
    if (alpha === 255) continue;
    for (let c = 0; c < 3; c++) {
      rgba[at + c] = Math.round((rgba[at + c] * alpha + 255 * (255 - alpha)) / 255);
    }
    rgba[at + 3] = 255;
  }
  if (size && (size[0] !== height || size[1] !== width)) image.cover({ w: size[1], h: size[0] });
  const { data: from, ...sides } = image.bitmap;
  const data = new Uint8Array(from.length / 4 * 3);
  for (let i = 0, to = 0; i < from.length; i += 4) {
    data[to++] = from[i];
    data[to++] = from[i + 1];
    data[to++] = from[i + 2];
  }
  return { decoded: [width, height], height: sides.height, width: sides.width, data };
}

/** What a thread answers: an image, why there is none, or that it has no decoder. */
type Answer = { image: DecodedImage } | { failed: unknown } | "no decoder";

/** What a thread does. It gets this as text, too. */
async function threadMain(
  port: { postMessage(answer: Answer, moved?: ArrayBuffer[]): void },
  decode: typeof decodeWith,
  Decoder: typeof Jimp | undefined,
  task: ImageTask,
): Promise<void> {
  if (!Decoder) return port.postMessage("no decoder");
  try {
    const image = await decode(Decoder, task);
    port.postMessage({ image }, [image.data.buffer]);
  } catch (error) {
    port.postMessage({ failed: error });
  }
}

/** Asked for here, because pages load this file too, and have no such module. */
const NODE_THREADS: typeof import("node:worker_threads") | undefined =
  // deno-lint-ignore no-explicit-any
  (globalThis as any).process?.getBuiltinModule?.("node:worker_threads");

/**
 * Decodes an image in a thread.
 *
 * @param task What to decode.
 * @param signal Ends the thread; the promise then rejects with `signal.reason`.
 * @returns The image; nothing if there are no threads, or they have no decoder.
 * @throws What the decoder stumbled over.
 */
export async function decodeInThread(
  task: ImageTask,
  signal?: AbortSignal,
): Promise<DecodedImage | undefined> {
  signal?.throwIfAborted();
  if (!NODE_THREADS) return undefined;
  const threads = "globalThis.process.getBuiltinModule('node:worker_threads')";
  // Threads need no variables of the environment, which may not be read without asking.
  const thread = new NODE_THREADS.Worker(
    `import("${JIMP}").catch(() => ({})).then(({ Jimp }) =>
      (${threadMain})(${threads}.parentPort, ${decodeWith}, Jimp, ${threads}.workerData))`,
    { eval: true, env: {}, workerData: task },
  );
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort);
  thread.on("message", resolve);
  thread.on("error", reject);
  try {
    const answer = await promise;
    if (answer === "no decoder") return undefined;
    if ("failed" in answer) throw answer.failed;
    return answer.image;
  } finally {
    signal?.removeEventListener("abort", abort);
    void thread.terminate();
  }
}
