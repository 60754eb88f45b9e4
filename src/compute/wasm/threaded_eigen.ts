/**
 * The eigen-decomposition of large symmetric matrices, by threads.
 *
 * @module
 */
import { divideAndConquer } from "../../linalg/eigen/divide_and_conquer.ts";
import type { PanelProduct } from "../../linalg/eigen/divide_and_conquer.ts";
import { fallingOrder, largest } from "../reference_eigen.ts";
import type { EigenDecomposition } from "../reference_eigen.ts";
import { reflect, tridiagonalise } from "../../linalg/eigen/householder.ts";
import type { WorkOptions } from "../work_options.ts";
import { roundUp } from "./memory.ts";
import { Workspace } from "./spectral.ts";
import type { ThreadOptions } from "./spectral.ts";

// The reduction is cut into so many parts whatever the number of threads, so that sums do not depend on it.
const PARTS = 16;
// Leading matrices of this size and less are reduced in plain loops: handing them to threads takes longer.
const REST = 192;

/**
 * Householder's reduction, divide and conquer, and the reflections back, all by threads.
 *
 * Time is about `n³`: half of it for the reduction, which reads and writes the lower triangle once per
 * step, and the rest for products. Memory is three matrices, shared, and one more.
 *
 * @param matrix The matrix, `n` rows of `n` numbers; the part on and below the diagonal counts.
 * @param n Its size.
 * @param options Threads, signal, progress.
 */
export async function threadedEigen(
  matrix: Float64Array,
  n: number,
  options: WorkOptions & ThreadOptions = {},
): Promise<EigenDecomposition> {
  const stride = roundUp(n, 4);
  const square = 8 * stride * stride;
  const space = 3 * square + 8 * stride * (4 + PARTS + 4) + 64 * 16;
  using work = await Workspace.open(space, options, options.signal);
  const progress = new Progress(n, options.onProgress);
  const a = work.take(square), rows = work.take(square);
  const right = work.take(square + 32 * stride);
  const size = largest(matrix, n);
  for (let i = 0; i < n; i++) {
    const row = work.numbers(a + 8 * i * stride, i + 1);
    for (let j = 0; j <= i; j++) row[j] = matrix[i * n + j] / size;
  }
  const { diagonal, coupling, scales } = await reduce(work, a, n, stride, progress);
  // The reflectors make room for the products.
  const reflectors = work.numbers(a, n * stride).slice();
  await divideAndConquer(diagonal, coupling, {
    rows: work.numbers(rows, stride * stride),
    stride,
    left: work.numbers(a, stride * stride),
    right: work.numbers(right, stride * (stride + 4)),
    multiply: (product) => multiply(work, product, { rows, stride, left: a, right }),
  }, (size) => progress.joined(size));
  work.numbers(a, n * stride).set(reflectors);
  const betas = work.take(8 * n);
  work.numbers(betas, n).set(scales);
  // A few rows per call, so that there is progress.
  for (let first = 0; first < stride; first += 256) {
    const many = Math.min(256, stride - first);
    const at = rows + 8 * first * stride;
    await work.run("reflectRows", many / 4, many / 8, at, 8 * stride, a, betas, n, work.stop);
    progress.reflected(first + many);
  }
  const order = fallingOrder(diagonal);
  const vectors = new Float64Array(n * n);
  order.forEach((i, at) => vectors.set(work.numbers(rows + 8 * i * stride, n), at * n));
  return { values: Float64Array.from(order, (i) => diagonal[i] * size), vectors };
}

/** The reduction to a tridiagonal matrix; the reflectors stay at `a`. */
async function reduce(
  work: Workspace,
  a: number,
  n: number,
  stride: number,
  progress: Progress,
): Promise<{ diagonal: Float64Array; coupling: Float64Array; scales: Float64Array }> {
  const diagonal = new Float64Array(n), coupling = new Float64Array(Math.max(0, n - 1));
  const scales = new Float64Array(n);
  const places = [0, 1].map(() => work.take(8 * stride));
  const nothing = work.take(8 * stride);
  const sums = work.take(8 * stride * PARTS);
  // The update that the last step left: A − u wᵀ − w uᵀ.
  let u = nothing, w = nothing;
  let i = n - 1;
  for (; i >= REST; i--) {
    const row = a + 8 * i * stride;
    const numbers = work.numbers(row, i + 1);
    updateRow(numbers, work.numbers(u, i + 1), work.numbers(w, i + 1));
    const { image, scale } = reflect(numbers.subarray(0, i));
    [diagonal[i], coupling[i - 1], scales[i]] = [numbers[i], image, scale];
    // What comes after the reflector is read with it.
    numbers[i] = 0;
    if (scale === 0) numbers.fill(0);
    const parts = Math.min(PARTS, (i + 1) >> 1);
    await work.run("reduce", (i + 1) >> 1, parts, i, a, 8 * stride, u, w, row, {
      base: sums,
      shard: 8 * stride,
    });
    const next = places[i % 2];
    combine(work, numbers.subarray(0, i), work.numbers(next, i), scale, { sums, parts, stride });
    [u, w] = [row, next];
    progress.reduced(i);
  }
  const size = i + 1;
  const rest = new Float64Array(size * size);
  for (let r = 0; r < size; r++) {
    const numbers = work.numbers(a + 8 * r * stride, r + 1);
    updateRow(numbers, work.numbers(u, r + 1), work.numbers(w, r + 1));
    rest.set(numbers, r * size);
  }
  const small = tridiagonalise(rest, size);
  diagonal.set(small.diagonal);
  coupling.set(small.coupling);
  scales.set(small.scales);
  for (let r = 0; r < size; r++) {
    const numbers = work.numbers(a + 8 * r * stride, r + 1);
    numbers.set(rest.subarray(r * size, r * size + r));
    numbers[r] = 0;
  }
  return { diagonal, coupling, scales };
}

/** `A(r,·) −= u(r) w + w(r) u`, on one row. */
function updateRow(row: Float64Array, u: Float64Array, w: Float64Array): void {
  const r = row.length - 1;
  const [ur, wr] = [u[r], w[r]];
  for (let c = 0; c <= r; c++) row[c] -= ur * w[c] + wr * u[c];
}

/** `w = p − (β/2)(uᵀp) u` with `p = β A u`, whose parts were summed apart. */
function combine(
  work: Workspace,
  u: Float64Array,
  w: Float64Array,
  scale: number,
  { sums, parts, stride }: { sums: number; parts: number; stride: number },
): void {
  const size = u.length, pairs = (size + 1) >> 1;
  w.fill(0);
  for (let part = 0; part < parts; part++) {
    // A part reaches to its last row.
    const end = Math.min(size, 2 * Math.floor((part + 1) * pairs / parts));
    const y = work.numbers(sums + 8 * part * stride, end);
    for (let c = 0; c < end; c++) w[c] += y[c];
  }
  let product = 0;
  for (let c = 0; c < size; c++) product += u[c] * w[c];
  const shift = scale / 2 * product;
  for (let c = 0; c < size; c++) w[c] = scale * (w[c] - shift * u[c]);
}

async function multiply(
  work: Workspace,
  { leftPanels, leftPitch, leftFirst, rightPanels, rightFirst, depth, target }: PanelProduct,
  at: { rows: number; stride: number; left: number; right: number },
): Promise<void> {
  await work.run(
    "products",
    leftPanels,
    Math.ceil(leftPanels / 8),
    at.left + 32 * leftFirst,
    32 * leftPitch,
    at.right + 32 * rightFirst,
    32 * depth,
    rightPanels,
    depth,
    0,
    at.rows + 8 * target,
    8 * at.stride,
    work.stop,
  );
}

/** The work that is done, of 14: by operations, 4 for the reduction, up to 4 for the joints, 6 for the reflections back. */
class Progress {
  readonly #n: number;
  readonly #tell: (done: number, total: number) => void;
  #joined = 0;

  constructor(n: number, tell: (done: number, total: number) => void = () => {}) {
    this.#n = n;
    this.#tell = tell;
  }

  /** Leading matrices of size `i` and less are left. */
  reduced(i: number): void {
    if (i % 64 === 0) this.#tell(4 - 4 * (i / this.#n) ** 3, 14);
  }

  /** A block of so many is joined; blocks of half its size take a quarter of its time, all together. */
  joined(size: number): void {
    this.#joined += (size / this.#n) ** 3;
    if (size > 256) this.#tell(4 + (size === this.#n ? 4 : Math.min(4, 3 * this.#joined)), 14);
  }

  /** So many rows are reflected back. */
  reflected(rows: number): void {
    this.#tell(8 + 6 * Math.min(1, rows / this.#n), 14);
  }
}
