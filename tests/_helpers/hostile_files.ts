/** Small files that ask for much time or memory. */
import { zipSync } from "fflate";
import { createGzip, deflateRawSync } from "node:zlib";

export function text(content: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(content, (letter) => letter.charCodeAt(0));
}

/** A gzipped file of a pattern that fills so many bytes, after a beginning. */
export async function gzipped(
  pattern: string,
  size: number,
  head: string | Uint8Array = "",
): Promise<Uint8Array> {
  const piece = text(pattern.repeat(Math.ceil(2 ** 20 / pattern.length)));
  const gzip = createGzip({ level: 9 });
  const parts: Uint8Array[] = [];
  gzip.on("data", (part) => parts.push(part));
  const ended = new Promise((resolve) => gzip.on("end", resolve));
  gzip.write(typeof head === "string" ? text(head) : head);
  for (let left = size; left > 0; left -= piece.length) {
    const written = new Promise((resolve) =>
      gzip.write(piece.subarray(0, Math.min(left, piece.length)), resolve)
    );
    await written;
  }
  gzip.end();
  await ended;
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).bytes());
}

/** A PLY file of a header and what comes after it. */
export function ply(header: string, body: Uint8Array): Uint8Array {
  return concat([text(`${header}end_header\n`), body]);
}

/** Some zeros, then the number of the ones that come, in 32 bits, and those. */
export function ones(zeros: number, count: number): Uint8Array {
  const bytes = new Uint8Array(zeros + 4 + count).fill(1, zeros + 4);
  new DataView(bytes.buffer).setUint32(zeros, count, true);
  return bytes;
}

/** An archive of many names for the same bytes, 4 MB of zeros. */
export function overlappingZip(count: number): Uint8Array {
  const zeros = new Uint8Array(2 ** 22), name = "a.npy";
  const packed = deflateRawSync(zeros);
  const one = zipSync({ [name]: zeros }, { level: 9 });
  // The directory of an archive of one file begins behind its bytes, and is repeated.
  const view = new DataView(one.buffer, one.byteOffset);
  const end = one.length - 22, start = view.getUint32(end + 16, true);
  const entries = Array.from({ length: count }, () => one.subarray(start, end));
  const last = one.slice(end), lastView = new DataView(last.buffer);
  for (const at of [8, 10]) lastView.setUint16(at, count, true);
  lastView.setUint32(12, count * (end - start), true);
  if (packed.length > start) throw new RangeError("Cannot make the archive: it is too small");
  return concat([one.subarray(0, start), ...entries, last]);
}

/** A file of `torch.save` with these instructions, and numbers that they may name. */
export function pytorch(instructions: string, size: number): Uint8Array {
  return zipSync({
    "archive/data.pkl": text(`\x80\x02${instructions}.`),
    "archive/data/0": new Uint8Array(size),
  }, { level: 0 });
}

/** A safetensors file of a header and so many zeros. */
export function safetensors(header: string, size: number): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return concat([length, text(header), new Uint8Array(size)]);
}

/**
 * A progressive JPEG image of one component and one colour, of 1 bit per block and some hundred bytes per further scan,
 * which passes over all blocks and changes nothing.
 */
export function progressiveJpeg(side: number, scans: number, factors = 0x11): Uint8Array {
  const blocks = Math.ceil(side / 8) ** 2;
  const segment = (marker: number, ...data: number[]) =>
    Uint8Array.of(0xFF, marker, (data.length + 2) >> 8, (data.length + 2) & 255, ...data);
  const lengths = [1, ...Array(15).fill(0)];
  // Each run of blocks without coefficients is the code 0 and 14 bits for the number of further ones.
  const run = 2 ** 15 - 1, runs = Math.ceil(blocks / run);
  const bits = `0${"1".repeat(14)}`.repeat(runs);
  const scan = concat([segment(0xDA, 1, 1, 0, 1, 63, 0), packed(bits)]);
  return concat([
    Uint8Array.of(0xFF, 0xD8),
    segment(0xDB, 0, ...Array(64).fill(1)),
    segment(0xC2, 8, side >> 8, side & 255, side >> 8, side & 255, 1, 1, factors, 0),
    segment(0xC4, 0, ...lengths, 0),
    segment(0xC4, 0x10, ...lengths, 0xE0),
    segment(0xDA, 1, 1, 0, 0, 0, 0),
    new Uint8Array(Math.ceil(blocks / 8)),
    ...Array.from({ length: scans }, () => scan),
    Uint8Array.of(0xFF, 0xD9),
  ]);
}

/** Bits as bytes, the last one filled with ones, a zero after each that is full of them. */
function packed(bits: string): Uint8Array {
  const bytes = bits.match(/.{1,8}/g)!.map((eight) => parseInt(eight.padEnd(8, "1"), 2));
  return Uint8Array.from(bytes.flatMap((byte) => byte === 255 ? [255, 0] : [byte]));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
