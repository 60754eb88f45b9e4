/** The package that decodes and encodes pictures, which takes longer to load than all the rest of this one. */

/** Loads it on first use, with what decoding takes; to encode, the package alone will do. */
export async function loadJimp(): Promise<typeof import("jimp")["Jimp"]> {
  const { Jimp } = await import("jimp");
  await (ready ??= decodeOnce(Jimp).catch((error) => {
    ready = undefined;
    throw error;
  }));
  return Jimp;
}

let ready: Promise<void> | undefined;

/**
 * Has it recognise one picture, for which it loads more packages. One of them, `debug`, lists all variables of
 * the environment for its own settings when it is loaded, for which Deno would ask the user: it finds none.
 */
async function decodeOnce(Jimp: typeof import("jimp")["Jimp"]): Promise<void> {
  const pixel = await Jimp.fromBitmap({ width: 1, height: 1, data: new Uint8Array(4) })
    .getBuffer("image/png");
  const { process } = globalThis as { process?: { env: unknown } };
  const env = process?.env;
  if (process) process.env = {};
  try {
    await Jimp.fromBuffer(pixel);
  } finally {
    if (process) process.env = env;
  }
}
