/** Files made to do harm; damage by chance is in tests/datasets/fuzz_test.ts. */
import { encodeNpy, encodePng, readImages } from "@closedform/diffusion";
import { blankBitmap } from "../../src/plots/bitmap.ts";
import { join } from "@std/path";
import { zipSync } from "fflate";
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { runSample } from "../_helpers/command.ts";
import { tell, trial } from "../_helpers/fault_table.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";
import {
  gzipped,
  ones,
  overlappingZip,
  ply,
  progressiveJpeg,
  pytorch,
  safetensors,
  text,
} from "../_helpers/hostile_files.ts";
import { READERS, type Reading } from "../_helpers/hostile_reader.ts";

/** Far less than it takes to unpack a bomb, far more than it takes to refuse one. */
const PATIENCE = 2000;

/** Overwrites a field of each header of an archive with one file: the local one, and that of the directory. */
function withSize(zip: Uint8Array, size: number): Uint8Array {
  const forged = zip.slice(), view = new DataView(forged.buffer);
  for (let at = 0; at + 4 <= forged.length; at++) {
    const signature = view.getUint32(at, true);
    if (signature === 0x04034B50) view.setUint32(at + 22, size, true);
    if (signature === 0x02014B50) view.setUint32(at + 24, size, true);
  }
  return forged;
}

Deno.test("readImages() refuses zip bombs and paths that leave the archive, at once and without a trace", () =>
  withFolder(async (folder) => {
    const bomb = zipSync({ "x.png": new Uint8Array(2 ** 26) }, { level: 9 });
    const image = await encodePng(blankBitmap(4, 4));
    const outside = /a path that leaves the archive/;
    const cases: [string, string, Uint8Array, RegExp][] = [
      ["bomb", "64 MB of zeros", bomb, /a possible ratio/],
      ["bomb", "more than it says", withSize(bomb, 100), /damaged compressed|possible ratio/],
      ["bomb", "3 GB in few bytes", withSize(bomb, 3 * 2 ** 30), /possible ratio/],
      ["with paths that leave it", "out of the folder", zipSync({ "../x.png": image }), outside],
      ["with paths that leave it", "in between", zipSync({ "a/../../x.png": image }), outside],
      ["with paths that leave it", "from the root", zipSync({ "/etc/x.png": image }), outside],
    ];
    for (const [kind, name, bytes, message] of cases) {
      await trial(`zip ${kind}`, async () => {
        const path = await write(folder, "x.zip", bytes);
        const begin = performance.now();
        const error = await rejectsAbout(readImages(path), path, message);
        assert.ok(performance.now() - begin < PATIENCE, name);
        const left = Array.from(Deno.readDirSync(folder), (entry) => entry.name);
        assert.deepEqual(left, ["x.zip"], name);
        return error;
      });
    }
  }));

Deno.test("readImages() refuses images that claim to be enormous before it makes room for them", () =>
  withFolder(async (folder) => {
    const honest = await encodePng(blankBitmap(4, 4));
    for (const side of [20_000, 2 ** 31 - 1]) {
      const forged = honest.slice(), view = new DataView(forged.buffer);
      view.setUint32(16, side);
      view.setUint32(20, side);
      view.setUint32(29, crc32(forged.subarray(12, 29)));
      await trial("image that claims to be enormous", async () => {
        const path = await write(folder, "x.png", forged);
        const begin = performance.now();
        const claim = new RegExp(`an image of ${side} × ${side} pixels`);
        const error = await rejectsAbout(readImages(folder), path, claim);
        assert.ok(performance.now() - begin < PATIENCE);
        return error;
      });
    }
  }));

/** What reading a small file may take: two seconds and 300 MB of memory. Other work on the machine takes its share of time. */
const MOST_SECONDS = 2, MOST_MEGABYTES = 300, SHARED = 4;

/** A file for a reader, and what must come of it. */
interface Hostile {
  readonly kind: string;
  readonly name: string;
  readonly bytes: () => Uint8Array | Promise<Uint8Array>;
  /** The message of the error, or of what is read. */
  readonly wanted: RegExp;
}

/** Reads files in a process of its own, which must live to tell of each. */
async function readAll(
  reader: string,
  warm: string,
  paths: readonly string[],
): Promise<Reading[]> {
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      join(import.meta.dirname!, "../_helpers/hostile_reader.ts"),
      ...[reader, warm, ...paths],
    ],
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(120_000),
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const lines = decode(stdout).trim().split("\n").filter((line) => line !== "");
  assert.equal(code, 0, `${paths[lines.length]}: ${decode(stderr).slice(0, 500)}`);
  return lines.map((line) => JSON.parse(line));
}

/** Fails unless a file was refused in a typed line or read, soon and in little memory. */
function checkReading(kind: string, wanted: RegExp, reading: Reading): void {
  const { path, seconds, megabytes, error, message } = reading;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const short = message.replaceAll(path, name);
  const bad = message.length > 3000 || !["", "DatasetError", "RangeError"].includes(error) ||
    !wanted.test(message) ||
    message.includes("\n") || seconds > SHARED * MOST_SECONDS || megabytes > MOST_MEGABYTES;
  const seen = `${error ? `${error}: ` : ""}${short}`.slice(0, 200);
  tell({
    fault: `hostile ${kind}`,
    tried: 1,
    survived: Number(!bad),
    seen: { [seen]: 1 },
    remark: `${name}: ${seconds.toFixed(2)} s, ${megabytes.toFixed(0)} MB`,
  });
  assert.ok(!bad, `${name}: ${seconds} s, ${megabytes} MB, ${seen}`);
}

/** Gives a reader a file that it reads, and then each of the hostile ones. */
function hostileTest(
  reader: string,
  good: readonly [name: string, bytes: Uint8Array],
  files: readonly Hostile[],
): void {
  Deno.test(`the reader ${reader} takes little time and memory for ${files.length} hostile files`, () =>
    withFolder(async (folder) => {
      const warm = await write(folder, ...good);
      const paths: string[] = [];
      for (const { name, bytes } of files) paths.push(await write(folder, name, await bytes()));
      const readings = await readAll(reader, warm, paths);
      readings.forEach((reading, k) => checkReading(files[k].kind, files[k].wanted, reading));
    }));
}

const DIGITS = 200_000;
const digits = "1".repeat(DIGITS);
const BOMB = /at most as many from so few/;

hostileTest("csv", ["good.csv", text("1,2\n3,4\n")], [
  {
    kind: "digits",
    name: "digits.csv",
    bytes: () => text(`1,2\n3,${digits}x\n`),
    wanted: /"1{40}" in line 2/,
  },
  {
    kind: "digits",
    name: "labels.csv",
    bytes: () => text(`a,label\n1,${digits}x\n2,y\n`),
    wanted: /2 classes/,
  },
  {
    kind: "digits",
    name: "exponent.csv",
    bytes: () => text(`1,2\n3,1e${digits}x\n`),
    wanted: /in line 2/,
  },
  {
    kind: "digits",
    name: "decimal.csv",
    bytes: () => text(`1;2\n3;${digits},${digits}x\n`),
    wanted: /in line 2/,
  },
  {
    kind: "white space",
    name: "tabs.csv",
    bytes: () => text(`1${"\t".repeat(DIGITS)}2\n`),
    wanted: /in line 1/,
  },
  {
    kind: "white space",
    name: "spaces.csv",
    bytes: () => text(`"1",${" ".repeat(DIGITS)}x"\n`),
    wanted: /./,
  },
  {
    kind: "white space",
    name: "commas.csv",
    bytes: () => text(`1,${" ".repeat(DIGITS)}2\n`),
    wanted: /1 item/,
  },
  {
    kind: "quotes",
    name: "quotes.csv",
    bytes: () => text(`1,${'"'.repeat(DIGITS + 1)}\n`),
    wanted: /./,
  },
  {
    kind: "quotes",
    name: "pairs.csv",
    bytes: () => text(`"${'""'.repeat(DIGITS)}",2\n3,4\n`),
    wanted: /./,
  },
  {
    kind: "quotes",
    name: "field.csv",
    bytes: () => text(`"${"1".repeat(2e7)}",2\n`),
    wanted: /in line 1/,
  },
  {
    kind: "bombs of text",
    name: "newlines.csv.gz",
    bytes: () => gzipped("\n", 2 ** 28 - 1),
    wanted: BOMB,
  },
  {
    kind: "bombs of text",
    name: "returns.csv.gz",
    bytes: () => gzipped("\r", 2 ** 27),
    wanted: BOMB,
  },
  {
    kind: "bombs of text",
    name: "ones.csv.gz",
    bytes: () => gzipped("1,", 2 ** 28 - 2),
    wanted: BOMB,
  },
  {
    kind: "bombs of text",
    name: "rows.csv.gz",
    bytes: () => gzipped("1,2\n", 2 ** 28),
    wanted: BOMB,
  },
  {
    kind: "bombs of text",
    name: "zeros.csv.gz",
    bytes: () => gzipped("\0", 2 ** 28),
    wanted: BOMB,
  },
  {
    kind: "rows",
    name: "names.csv",
    bytes: () => text(`${"x".repeat(1e6)},y\n1,2\nz,3\n`),
    wanted: /column x{40}/,
  },
  {
    kind: "rows",
    name: "newlines.csv",
    bytes: () => text(`${"\n".repeat(1.6e7)}1,2\n`),
    wanted: /1 item/,
  },
  {
    kind: "rows",
    name: "wide.csv",
    bytes: () => text(`${"1,".repeat(2e6)}1\n${"1\n".repeat(2e6)}`),
    wanted: /1 fields in line 2/,
  },
  {
    kind: "rows",
    name: "labels_many.csv",
    bytes: () => text(Array.from({ length: 3e5 }, (_, i) => `1,a${i}\n`).join("")),
    wanted: /different labels/,
  },
]);

const VERTICES = "v 0 0 0\nv 1 0 0\nv 0 1 0\n";
const SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n";
const ASCII = "ply\nformat ascii 1.0\n";
const BINARY = "ply\nformat binary_little_endian 1.0\n";
const XYZ = "property float x\nproperty float y\nproperty float z\n";
const FACES = "element face 1\nproperty list uint uchar vertex_indices\n";

hostileTest("mesh", ["good.obj", text(SQUARE)], [
  {
    kind: "digits",
    name: "digits.obj",
    bytes: () => text(`v 0 0 ${digits}x\n`),
    wanted: /in line 1/,
  },
  {
    kind: "digits",
    name: "corner.obj",
    bytes: () => text(`${VERTICES}f 1 2 ${digits}x\n`),
    wanted: /at least three/,
  },
  {
    kind: "digits",
    name: "digits.ply",
    bytes: () => ply(`${ASCII}element vertex 1\n${XYZ}`, text(`0 0 ${digits}x`)),
    wanted: /wanted a number/,
  },
  {
    kind: "bombs of text",
    name: "face.obj.gz",
    bytes: () => gzipped("1 2 3 ", 2 ** 28, `${VERTICES}f `),
    wanted: BOMB,
  },
  {
    kind: "bombs of text",
    name: "newlines.obj.gz",
    bytes: () => gzipped("\n", 2 ** 28),
    wanted: BOMB,
  },
  {
    kind: "bombs of text",
    name: "vertices.ply.gz",
    bytes: () => gzipped("1 ", 2 ** 28, `${ASCII}element vertex 9999999999\n${XYZ}end_header\n`),
    wanted: BOMB,
  },
  {
    kind: "faces",
    name: "face.obj",
    bytes: () => text(`${VERTICES}f ${"1 2 3 ".repeat(5e5)}\n`),
    wanted: /1,500,000 corners/,
  },
  {
    kind: "faces",
    name: "crossing.obj",
    bytes: () => text(`${SQUARE}f ${"1 2 4 3 ".repeat(1000)}\n`),
    wanted: /items of 3/,
  },
  {
    kind: "faces",
    name: "round.obj",
    bytes: () => text(`${VERTICES}f ${"1 2 3 ".repeat(1333)}\n`.repeat(20)),
    wanted: /items of 3/,
  },
  {
    kind: "lists",
    name: "list.ply",
    bytes: () => ply(`${BINARY}element vertex 1\n${XYZ}${FACES}`, new Uint8Array(16).fill(255, 12)),
    wanted: /all numbers that its header declares/,
  },
  {
    kind: "lists",
    name: "corners.ply",
    bytes: () => ply(`${BINARY}element vertex 1\n${XYZ}${FACES}`, ones(12, 4e7)),
    wanted: /40,000,000 corners/,
  },
  {
    kind: "lists",
    name: "other.ply",
    bytes: () => ply(`${BINARY}element other 1\nproperty list uint uchar a\n`, ones(0, 4e7)),
    wanted: /no vertices/,
  },
  {
    kind: "lists",
    name: "empty.ply",
    bytes: () =>
      ply(`${BINARY}element x 9999999999\nproperty list uchar uchar a\n`, new Uint8Array(2 ** 22)),
    wanted: /all numbers that its header declares/,
  },
]);

const NPY = encodeNpy(Float32Array.of(1, 2), [1, 2]);
/** An array of one number, whose header says another shape. */
const shaped = (shape: string) => {
  const bytes = encodeNpy(Uint8Array.of(1), [1]);
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape}), }`.padEnd(117) +
    "\n";
  bytes.set(text(header), 10);
  return bytes;
};

hostileTest("npy", ["good.npy", NPY], [
  {
    kind: "bombs behind headers",
    name: "four.npy.gz",
    bytes: () => gzipped("\0", 2 ** 30, shaped("2, 2").subarray(0, -1)),
    wanted: /more bytes after/,
  },
  {
    kind: "lying shapes",
    name: "large.npy.gz",
    bytes: () => gzipped("\0", 2 ** 10, shaped("99999999999,")),
    wanted: /too small for it/,
  },
  {
    kind: "lying shapes",
    name: "overflow.npy.gz",
    bytes: () => gzipped("\0", 2 ** 10, shaped("999999999999999, 999999999999999")),
    wanted: /fits in a file/,
  },
  {
    kind: "lying shapes",
    name: "large.npy",
    bytes: () => shaped("1099511627776, 4"),
    wanted: /bytes after the header/,
  },
  {
    kind: "lying shapes",
    name: "zero.npy",
    bytes: () => shaped("0, 999999999999999"),
    wanted: /bytes after the header/,
  },
]);
hostileTest("rows", ["good.npy", NPY], [
  {
    kind: "lying shapes",
    name: "rows.npy",
    bytes: () => shaped("1099511627776, 4"),
    wanted: /bytes after the header/,
  },
]);
hostileTest("npz", ["good.npz", zipSync({ "x.npy": NPY })], [
  {
    kind: "bombs behind headers",
    name: "four.npz",
    bytes: () => {
      const x = new Uint8Array(2 ** 28);
      x.set(shaped("2, 2"));
      return zipSync({ "x.npy": x }, { level: 9 });
    },
    wanted: /bytes after the header/,
  },
  {
    kind: "lying shapes",
    name: "large.npz",
    bytes: () => zipSync({ "x.npy": shaped("1099511627776, 4") }),
    wanted: /bytes after the header/,
  },
  {
    kind: "archives",
    name: "overlap.npz",
    bytes: () => overlappingZip(1000),
    wanted: /belong to another file/,
  },
]);
hostileTest("idx", ["good.idx", Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1, 7)], [
  {
    kind: "lying shapes",
    name: "large.idx",
    bytes: () => Uint8Array.of(0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255),
    wanted: /too small for them/,
  },
  {
    kind: "bombs behind headers",
    name: "one.idx.gz",
    bytes: () => gzipped("\0", 2 ** 28, Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1)),
    wanted: /more bytes/,
  },
]);

hostileTest("law", ["good.pt", pytorch("}", 0)], [
  {
    kind: "pickles",
    name: "many.pt",
    bytes: () => pytorch("}", 2 ** 24),
    wanted: /the arrays \[\]/,
  },
  {
    kind: "pickles",
    name: "maps.pt",
    bytes: () => pytorch("}".repeat(2 ** 20 - 3), 0),
    wanted: /found/,
  },
  {
    kind: "pickles",
    name: "deep.pt",
    bytes: () => pytorch(`)${"\x85".repeat(1e6)}`, 0),
    wanted: /no dictionary/,
  },
  {
    kind: "pickles",
    name: "marks.pt",
    bytes: () => pytorch("(".repeat(1e6), 0),
    wanted: /more taken/,
  },
  {
    kind: "pickles",
    name: "long.pt",
    bytes: () => pytorch("N".repeat(2e7), 0),
    wanted: /at most 1,048,576/,
  },
  {
    kind: "archives",
    name: "overlap.pt",
    bytes: () => overlappingZip(1000),
    wanted: /belong to another file/,
  },
]);
const whole = { dtype: "F32", shape: [2 ** 20], data_offsets: [0, 2 ** 22] };
hostileTest("safetensors", ["good.safetensors", safetensors("{}", 0)], [
  {
    kind: "arrays that overlap",
    name: "overlap.safetensors",
    bytes: () =>
      safetensors(
        JSON.stringify(Object.fromEntries(Array.from({ length: 200 }, (_, k) => [`a${k}`, whole]))),
        2 ** 22,
      ),
    wanted: /overlaps/,
  },
  {
    kind: "headers",
    name: "null.safetensors",
    bytes: () => safetensors('{"__metadata__":null}', 0),
    wanted: /notes that are no text/,
  },
  {
    kind: "headers",
    name: "deep.safetensors",
    bytes: () => safetensors("[".repeat(1e5), 0),
    wanted: /no JSON object/,
  },
  {
    kind: "headers",
    name: "deep_object.safetensors",
    bytes: () => safetensors(`${'{"a":'.repeat(1e5)}1${"}".repeat(1e5)}`, 0),
    wanted: /of type undefined/,
  },
  {
    kind: "headers",
    name: "long.safetensors",
    bytes: () => safetensors(`{"a":[${"[],".repeat(4e6)}[]]}`, 0),
    wanted: /a header of/,
  },
]);

const PIXEL = await encodePng(blankBitmap(4, 4));
hostileTest("images", ["good.zip", zipSync({ "a.png": PIXEL })], [
  {
    kind: "JPEG images",
    name: "large.zip",
    bytes: () => zipSync({ "a.jpg": progressiveJpeg(10_000, 100) }, { level: 0 }),
    wanted: /takes 2 GB to decode/,
  },
  {
    kind: "JPEG images",
    name: "scans.zip",
    bytes: () => zipSync({ "a.jpg": progressiveJpeg(3000, 1000) }, { level: 0 }),
    wanted: /scans over and over/,
  },
  {
    kind: "JPEG images",
    name: "factors.zip",
    bytes: () => zipSync({ "a.jpg": progressiveJpeg(1000, 1, 0xFF) }, { level: 0 }),
    wanted: /sampled 15 × 15/,
  },
  {
    kind: "archives",
    name: "bomb.zip",
    bytes: () => zipSync({ "a.png": new Uint8Array(2 ** 27) }, { level: 9 }),
    wanted: /a possible ratio/,
  },
  {
    kind: "archives",
    name: "other.zip",
    bytes: () => zipSync({ "a.png": PIXEL, "b": new Uint8Array(2 ** 27) }, { level: 9 }),
    wanted: /1 item/,
  },
  {
    kind: "archives",
    name: "overlap.zip",
    bytes: () => overlappingZip(1000),
    wanted: /belong to another file/,
  },
]);

Deno.test({
  name: "no reader waits for a pipe or a socket, or reads a device or folder",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      const pipe = join(folder, "pipe"), zeros = join(folder, "zeros");
      assert.ok((await new Deno.Command("mkfifo", { args: [pipe] }).output()).success);
      await Deno.symlink("/dev/zero", zeros);
      await Deno.symlink(join(folder, "loop"), join(folder, "loop"));
      // By a process of its own: listening is no permission that these tests need.
      const listen = `Deno.listen({ transport: "unix", path: "${folder}/socket" }); Deno.exit()`;
      await new Deno.Command(Deno.execPath(), { args: ["eval", listen] }).output();
      assert.ok((await Deno.stat(join(folder, "socket"))).isSocket);
      await Deno.mkdir(join(folder, "folder"));
      for (const [name, file] of [["images", "a.png"], ["cifar", "test_batch.bin"]]) {
        await Deno.mkdir(join(folder, name));
        await Deno.symlink(pipe, join(folder, name, file));
      }
      const paths = ["pipe", "zeros", "loop", "socket", "folder", "images", "cifar"];
      for (const reader of Object.keys(READERS)) {
        // It reads its file by itself.
        if (reader === "safetensors") continue;
        const all = paths.map((name) => join(folder, name));
        for (const reading of await readAll(reader, join(folder, "none"), all)) {
          checkReading(`${reader}: no regular file`, /./, reading);
          assert.equal(
            reading.error,
            reader === "cache" ? "" : "DatasetError",
            JSON.stringify(reading),
          );
          if (reader === "cache") assert.equal(reading.message, "undefined");
        }
      }
      for (const option of ["--from", "--init"]) {
        for (const path of [pipe, zeros]) {
          const { code, stderr } = await runSample("--data", "moons:20", option, path);
          // What is named for a run is an error of use, or of its files.
          assert.ok(code === 1 || code === 2, `${code}`);
          assert.match(stderr.trim(), /^.*wanted a (regular )?file$/, stderr);
        }
      }
    }),
});
