/** Readers of large files end soon after their signal, whatever they are at. */
import {
  encodeNpy,
  readCsv,
  readGaussianLaw,
  readImages,
  readMesh,
  readNpy,
  readNpz,
} from "@closedform/diffusion";
import { zipSync } from "fflate";
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { withFolder, write } from "../_helpers/files.ts";
import { ply, progressiveJpeg, text } from "../_helpers/hostile_files.ts";
import { ihdr, png } from "../_helpers/images.ts";

/** Seconds from the signal to the end, on a machine that has other work to do, too. */
const MOST_SECONDS = 2;

/** Aborts a reading after some milliseconds; none of these files is read by then. */
async function endsSoon(
  read: (signal: AbortSignal) => Promise<unknown>,
  milliseconds: number,
): Promise<void> {
  const controller = new AbortController(), reason = new Error("enough");
  let aborted = 0;
  const timer = setTimeout(() => {
    aborted = performance.now();
    controller.abort(reason);
  }, milliseconds);
  try {
    await assert.rejects(read(controller.signal), reason);
  } finally {
    clearTimeout(timer);
  }
  const seconds = (performance.now() - aborted) / 1000;
  assert.ok(seconds < MOST_SECONDS, `${seconds} s after the signal`);
}

const SIDE = 6000;
const XYZ = "property float x\nproperty float y\nproperty float z\n";
const MIB = 2 ** 20;

/** Some seconds of work each. */
const FILES: readonly [
  name: string,
  bytes: () => Uint8Array,
  read: (path: string, signal: AbortSignal) => Promise<unknown>,
][] = [
  ["x.csv", () => text("1,2,3\n".repeat(4 * MIB)), (path, signal) => readCsv(path, { signal })],
  [
    "wide.csv",
    () => text(`${"1,".repeat(4 * MIB)}1\n`.repeat(3)),
    (path, signal) => readCsv(path, { signal }),
  ],
  [
    "x.obj",
    () => text(`${"v 1 2 3\n".repeat(MIB)}${"f 1 2 3\n".repeat(MIB)}`),
    (path, signal) => readMesh(path, { signal }),
  ],
  [
    "ascii.ply",
    () =>
      ply(
        `ply\nformat ascii 1.0\nelement vertex ${2 * MIB}\n${XYZ}`,
        text("1 2 3\n".repeat(2 * MIB)),
      ),
    (path, signal) => readMesh(path, { signal }),
  ],
  ["binary.ply", () =>
    ply(
      `ply\nformat binary_little_endian 1.0\nelement vertex ${4 * MIB}\n${XYZ}`,
      new Uint8Array(48 * MIB),
    ), (path, signal) => readMesh(path, { signal })],
  [
    "x.npy",
    () => encodeNpy(new BigInt64Array(16 * MIB), [4 * MIB, 4]),
    (path, signal) => readNpy(path, { signal }),
  ],
  [
    "x.npz",
    () => zipSync({ "x.npy": encodeNpy(new Float64Array(8 * MIB), [2 * MIB, 4]) }, { level: 1 }),
    (path, signal) => readNpz(path, { signal }),
  ],
  ["law.npz", () =>
    zipSync({
      "imgmean.npy": encodeNpy(new Float64Array(3000), [3000]),
      "eigval.npy": encodeNpy(new Float64Array(3000), [3000]),
      "eigvec.npy": encodeNpy(new Float64Array(9e6), [3000, 3000]),
    }, { level: 0 }), (path, signal) => readGaussianLaw(path, { signal })],
  ["png.zip", () => {
    const raw = new Uint8Array((SIDE + 1) * SIDE);
    const chunks = png(
      ["IHDR", ihdr(SIDE, SIDE, 8, 0, 0)],
      ["IDAT", deflateSync(raw)],
      ["IEND", new Uint8Array(0)],
    );
    return zipSync({ "a.png": chunks }, { level: 0 });
  }, (path, signal) => readImages(path, { signal })],
  [
    "jpeg.zip",
    () => zipSync({ "a.jpg": progressiveJpeg(SIDE, 60) }, { level: 0 }),
    (path, signal) => readImages(path, { signal }),
  ],
];

for (const [name, bytes, read] of FILES) {
  Deno.test(`the reader of a large ${name} ends soon after its signal`, () =>
    withFolder(async (folder) => {
      const path = await write(folder, name, bytes());
      // At the beginning, and in the midst of decoding.
      const later = name.endsWith(".zip") ? 500 : 100;
      for (const milliseconds of [0, 30, later]) {
        await endsSoon((signal) => read(path, signal), milliseconds);
      }
    }));
}
