/** Other ways to sum the columns of a mask, and how fast this machine adds at most: one thread each. */
import type { Mask } from "@closedform/diffusion/compute";
import { maskColumn } from "@closedform/diffusion/compute";
import asc from "assemblyscript/asc";

const SOURCE = `
// 16 vectors of a working set per round, each loaded and added: what any sum over entries must do.
export function additions(at: usize, bytes: usize, rounds: i32): void {
  let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (let r = 0; r < rounds; r++) {
    for (let p = at; p < at + bytes; p += 128) {
      a = i32x4.add(a, v128.load(p)); b = i32x4.add(b, v128.load(p, 16)); c = i32x4.add(c, v128.load(p, 32)); d = i32x4.add(d, v128.load(p, 48));
      e = i32x4.add(e, v128.load(p, 64)); f = i32x4.add(f, v128.load(p, 80)); g = i32x4.add(g, v128.load(p, 96)); h = i32x4.add(h, v128.load(p, 112));
    }
  }
  v128.store(at, i32x4.add(i32x4.add(i32x4.add(a, b), i32x4.add(c, d)), i32x4.add(i32x4.add(e, f), i32x4.add(g, h))));
}
// 16 items: each column from the list of its entries, float32.
export function lists(entries: usize, list: usize, columns: i32, out: usize): void {
  for (let i = 0, p = list; i < columns; i++, out += 64) {
    const end = p + 2 + (<usize>load<u16>(p) << 1);
    let a = f32x4.splat(0), b = a, c = a, d = a;
    for (p += 2; p < end; p += 2) {
      const at = entries + (<usize>load<u16>(p) << 6);
      a = f32x4.add(a, v128.load(at)); b = f32x4.add(b, v128.load(at, 16)); c = f32x4.add(c, v128.load(at, 32)); d = f32x4.add(d, v128.load(at, 48));
    }
    v128.store(out, a); v128.store(out, b, 16); v128.store(out, c, 32); v128.store(out, d, 48);
  }
}
// 16 items: the product with the mask as a float32 matrix, 4 columns x 8 items in registers.
export function dense(entries: usize, mask: usize, d: i32, out: usize): void {
  for (let m = 0; m < d; m += 4) {
    for (let half: usize = 0; half < 64; half += 32) {
      let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, e0 = a0, e1 = a0;
      let at = entries + half, g = mask + (<usize>m << 2);
      for (let n = 0; n < d; n++, at += 64, g += <usize>d << 2) {
        const x = v128.load(at), y = v128.load(at, 16);
        const w0 = v128.load32_splat(g), w1 = v128.load32_splat(g, 4), w2 = v128.load32_splat(g, 8), w3 = v128.load32_splat(g, 12);
        a0 = f32x4.relaxed_madd(w0, x, a0); a1 = f32x4.relaxed_madd(w0, y, a1); b0 = f32x4.relaxed_madd(w1, x, b0); b1 = f32x4.relaxed_madd(w1, y, b1);
        c0 = f32x4.relaxed_madd(w2, x, c0); c1 = f32x4.relaxed_madd(w2, y, c1); e0 = f32x4.relaxed_madd(w3, x, e0); e1 = f32x4.relaxed_madd(w3, y, e1);
      }
      const o = out + (<usize>m << 6) + half;
      v128.store(o, a0); v128.store(o, a1, 16); v128.store(o, b0, 64); v128.store(o, b1, 80);
      v128.store(o, c0, 128); v128.store(o, c1, 144); v128.store(o, e0, 192); v128.store(o, e1, 208);
    }
  }
}
`;
const ENTRIES = 65536;

/** The rivals for masks of so many coordinates. */
export class MaskedRivals {
  readonly #dimension: number;
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Record<string, (...numbers: number[]) => void>;

  /** Compiles them. */
  static async make(dimension: number): Promise<MaskedRivals> {
    let bytes: Uint8Array<ArrayBuffer> | undefined;
    const { error, stderr } = await asc.main(
      [
        "c.ts",
        "-o=c.wasm",
        "-O3",
        "--noAssert",
        "--runtime=stub",
        "--importMemory",
        "--enable=simd,relaxed-simd",
      ],
      {
        readFile: (name: string) => name === "c.ts" ? SOURCE : null,
        writeFile: (_: string, contents: string | Uint8Array) => {
          if (contents instanceof Uint8Array) bytes = Uint8Array.from(contents);
        },
        listFiles: () => [],
      },
    );
    if (error || !bytes) throw new SyntaxError(stderr.toString());
    return new MaskedRivals(dimension, await WebAssembly.compile(bytes));
  }

  private constructor(dimension: number, module: WebAssembly.Module) {
    this.#dimension = dimension;
    const bytes = ENTRIES + 128 * dimension + 4 * dimension ** 2;
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) + 1 });
    this.#kernels = new WebAssembly.Instance(module, {
      env: { memory: this.#memory, abort: () => {} },
    }).exports as Record<string, (...numbers: number[]) => void>;
  }

  /** Vectors of 4 numbers that are loaded and added per second, from a working set of so many bytes. */
  additionsPerSecond(bytes: number): number {
    const rounds = Math.ceil(2 ** 28 / bytes);
    const seconds = best(() => this.#kernels.additions(ENTRIES, bytes, rounds));
    return rounds * bytes / 16 / seconds;
  }

  /** Seconds per item with lists of the ones of each column, or of its zeros where these are fewer and `shorter` is set. */
  lists(mask: Mask, shorter: boolean): number {
    const d = this.#dimension, words: number[] = [];
    for (let m = 0; m < d; m++) {
      const column = maskColumn(mask, m);
      const flip = shorter && 2 * column.length > d;
      const listed = flip
        ? Array.from({ length: d }, (_, n) => n).filter((n) => !has(mask, n, m))
        : column;
      words.push(listed.length);
      for (const n of listed) words.push(n);
    }
    const out = ENTRIES + 64 * d, list = out + 64 * d;
    new Uint16Array(this.#memory.buffer, list, words.length).set(words);
    return best(() => this.#kernels.lists(ENTRIES, list, d, out)) / 16;
  }

  /** Seconds per item with the mask as a matrix. */
  dense(mask: Mask): number {
    const d = this.#dimension, out = ENTRIES + 64 * d, matrix = out + 64 * d;
    const floats = new Float32Array(this.#memory.buffer, matrix, d * d);
    for (let m = 0; m < d; m++) {
      for (let n = 0; n < d; n++) floats[n * d + m] = Number(has(mask, n, m));
    }
    return best(() => this.#kernels.dense(ENTRIES, matrix, d, out)) / 16;
  }
}

function has({ bits, words }: Mask, n: number, m: number): boolean {
  return ((bits[m * words + (n >> 5)] >>> (n & 31)) & 1) === 1;
}

/** The least time of five, after one that does not count, in seconds. */
function best(run: () => void): number {
  run();
  let least = Infinity;
  for (let k = 0; k < 5; k++) {
    const before = performance.now();
    run();
    least = Math.min(least, performance.now() - before);
  }
  return least / 1000;
}
