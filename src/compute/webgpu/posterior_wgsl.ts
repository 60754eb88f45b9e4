/**
 * The WGSL kernels of the posterior mean, as pure functions from a plan to text.
 *
 * @module
 */
import { type PosteriorPlan, ROWS, WORKGROUP } from "../posterior_plan.ts";

/** Work-group size of the statistics kernel, which has only one work-group per query. */
const STATISTICS_WORKGROUP = 256;
/** Vectors that a thread sums in one run, so that no sum is long. */
const RUN = 16;
/** A finite stand-in for an infinite distance: WGSL compilers may assume that infinities do not occur. */
export const NO_DISTANCE = 3e38;
/** 32-bit words that the statistics kernel writes per chunk and query. */
export const PARTIAL_WORDS = 8;

/** The uniform that tells a kernel which chunk it works on; `chunkUniform` fills it. */
const CHUNK = /* wgsl */ `
struct Chunk {
  rows: u32,       // rows in this chunk
  first: u32,      // index of its first row in the data set
  index: u32,      // number of the chunk
  stride: u32,     // rows in a full chunk
  vectors: u32,    // vectors per row
  splitRows: u32,  // rows in one split
  negligible: f32, // weights below this are not summed
  unused: u32,
}`;

/** What the kernels know about a query; `queryWords` fills it. */
const QUERY = /* wgsl */ `
struct Query {
  rate: f32,    // scale²/2σ²; negative for a query that only fills its work-group
  shifted: u32, // whether it is compared from the middle of the data
}`;

function dataBinding(plan: PosteriorPlan): string {
  return plan.bytes
    ? `@group(0) @binding(0) var<storage, read> data: array<u32>;
fn load(at: u32) -> vec4f { return vec4f(unpack4xU8(data[at])); }`
    : `@group(0) @binding(0) var<storage, read> data: array<vec4f>;
fn load(at: u32) -> vec4f { return data[at]; }`;
}

function repeat(n: number, line: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => line(i)).join("\n");
}

/**
 * Kernel 1, prepare: queries in data units become padded rows in stored units.
 *
 * - Computes `u = (x − o − low)/scale`, the query relative to the middle `c` of the data, with the value `o + low` of `c` in
 *   two parts: a difference of numbers of like size is exact, so that no offset of the data enters. What is written is
 *   `q = c + u`, or `t = 2u` for a query that is `shifted` (see kernel 2): because the caller says so, or because it is far from
 *   all data, `‖u‖² > far`.
 * - Layout: one work-group of 64 threads per query, two passes, a tree over the threads between them.
 *   Rows from `count` on, which fill the last block of queries, become 0.
 * - Memory: reads `[count, d]` words, writes `[queries, vectors]` vectors.
 * - Output: `found[query]` holds whether the query is shifted, and
 *   in `bad` whether a number of the query is not finite, which is decided
 *   on its bits: compilers may assume that floats are finite. Such a number is taken as 0.
 * - Error: four roundings of `u` (one for floats), one more of `q` for bytes; floats are what they are.
 *
 * @param plan The plan.
 * @returns The shader.
 */
export function prepareShader({ bytes }: PosteriorPlan): string {
  const value = bytes
    ? "u + centres[column]"
    : `bitcast<vec4f>(vec4u(${
      [0, 1, 2, 3].map((j) => `number(query, column * 4u + ${j}u)`).join(", ")
    }))`;
  return /* wgsl */ `
${QUERY}
struct Affine {
  dimension: u32, vectors: u32, count: u32, inverse: f32, low: f32, far: f32,
}
struct Found { shifted: u32, bad: u32 }
@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> each: array<Query>;
@group(0) @binding(2) var<storage, read_write> queries: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> found: array<Found>;
@group(0) @binding(4) var<uniform> affine: Affine;
@group(0) @binding(5) var<storage, read> origins: array<f32>;
${bytes ? "@group(0) @binding(6) var<storage, read> centres: array<vec4f>;" : ""}
var<workgroup> squares: array<f32, ${WORKGROUP}>;
var<workgroup> bad: atomic<u32>;

// The bits of a number of a query; 0 for padding and for what is not finite.
fn number(query: u32, c: u32) -> u32 {
  if (c >= affine.dimension || query >= affine.count) { return 0u; }
  let bits = raw[query * affine.dimension + c];
  return select(bits, 0u, (bits & 0x7f800000u) == 0x7f800000u);
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let query = group.x;
  let asked = each[query].shifted;
  var square = 0.0;
  for (var column = thread; column < affine.vectors; column += ${WORKGROUP}u) {
    var u = vec4f();
    for (var j = 0u; j < 4u; j++) {
      let c = column * 4u + j;
      if (c >= affine.dimension || query >= affine.count) { break; }
      let bits = raw[query * affine.dimension + c];
      if ((bits & 0x7f800000u) == 0x7f800000u) {
        atomicOr(&bad, 1u);
      } else {
        u[j] = ((bitcast<f32>(bits) - origins[c]) - affine.low) * affine.inverse;
        // Too far is far enough.
        let bounded = clamp(u[j], -1e15, 1e15);
        square = fma(bounded, bounded, square);
      }
    }
    queries[query * affine.vectors + column] = u;
  }
  squares[thread] = square;
  for (var half = ${WORKGROUP / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) { squares[thread] += squares[thread + half]; }
  }
  workgroupBarrier();
  let shifted = select(asked, 1u, squares[0] > affine.far);
  for (var column = thread; column < affine.vectors; column += ${WORKGROUP}u) {
    let at = query * affine.vectors + column;
    let u = queries[at];
    queries[at] = select(${value}, 2.0 * u, shifted == 1u);
  }
  if (thread == 0u) {
    found[query] = Found(shifted, atomicLoad(&bad));
    each[query].shifted = shifted;
  }
}`;
}

/**
 * Kernel 2, distances: `D[q, i] = ‖q − xᵢ‖²` in stored units for the rows of one chunk,
 * up to a number per query that is the same for all rows.
 *
 * - Algorithm: direct differences, never the expanded square, which cancels at low
 *   noise. At high noise all distances are large and nearly equal, and their own rounding, `d/2` nats
 *   times epsilon, would hide the differences, and likewise for a query far from all data. Such a query is `shifted`:
 *   with `c` the middle of the data, `‖q − xᵢ‖² − ‖q − c‖² = Σ e(e + t)` with `e = c − xᵢ`, `t = 2(q − c)`, whose terms are
 *   smaller by about the ratio of the data's radius to the distance. With `e = q − xᵢ`, `t = 0` this is the square itself.
 * - Layout: `lanes` threads share a row, each sums every `lanes`-th vector of 8 rows
 *   for `perGroup` queries in registers, in runs of 64 numbers; then a tree over the lanes in work-group
 *   memory. Work-groups `(⌈rows / (8·64/lanes)⌉, ⌈queries/perGroup⌉)`, one pass.
 * - Memory: reads the chunk once per `perGroup` queries, writes `[queries, chunkRows]`
 *   floats; 8 KiB of work-group memory at most, half of what every device has.
 * - Output: `D` as `[queries/perGroup, chunkRows, perGroup]`; rows beyond the chunk are not written.
 * - Error: relative to `Σ |terms|`, at most `64 + d/(64·lanes) + log₂ lanes` roundings, in practice one or two.
 *
 * The operations on one pair of query and row are the same for every `perGroup`.
 *
 * @param plan The plan.
 * @param perGroup Queries per work-group, 1 or 4.
 * @returns The shader.
 */
export function distanceShader(plan: PosteriorPlan, perGroup: 1 | 4): string {
  const { lanes } = plan;
  const type = perGroup === 1 ? "f32" : "vec4f";
  const rows = (line: (r: number) => string) => repeat(ROWS, line);
  const queries = (line: (q: number) => string) => repeat(perGroup, line);
  const pairs = (line: (q: number, r: number) => string) => queries((q) => rows((r) => line(q, r)));
  const total = (r: number) =>
    perGroup === 1 ? `t0_${r}` : `vec4f(t0_${r}, t1_${r}, t2_${r}, t3_${r})`;
  const tree = /* wgsl */ `
  ${rows((r) => `partial[${r * WORKGROUP}u + thread] = ${total(r)};`)}
  for (var half = ${lanes / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      for (var at = thread; at < ${ROWS * WORKGROUP}u; at += ${WORKGROUP}u) {
        partial[at] += partial[at + half];
      }
    }
  }`;
  const sum = (r: number) => lanes === 1 ? total(r) : `partial[${r * WORKGROUP}u + thread]`;
  return /* wgsl */ `
${CHUNK}
${QUERY}
${dataBinding(plan)}
@group(0) @binding(1) var<storage, read> each: array<Query>;
@group(0) @binding(2) var<storage, read> queries: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> distances: array<${type}>;
@group(0) @binding(4) var<uniform> chunk: Chunk;
@group(0) @binding(5) var<storage, read> centres: array<vec4f>;
var<workgroup> partial: array<${type}, ${lanes === 1 ? 1 : ROWS * WORKGROUP}>;

fn add(sum: f32, a: vec4f, t: vec4f) -> f32 {
  let b = a + t;
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % ${lanes}u;
  let row = (group.x * ${WORKGROUP / lanes}u + thread / ${lanes}u) * ${ROWS}u;
  let last = chunk.rows - 1u;
  let vectors = chunk.vectors;
  let query = group.y * ${perGroup}u;
  ${rows((r) => `let row${r} = min(row + ${r}u, last) * vectors;`)}
  ${queries((q) => `let shifted${q} = each[query + ${q}u].shifted == 1u;`)}
  ${pairs((q, r) => `var t${q}_${r} = 0.0;`)}
  for (var start = lane; start < vectors; start += ${RUN * lanes}u) {
    ${pairs((q, r) => `var s${q}_${r} = 0.0;`)}
    let end = min(start + ${RUN * lanes}u, vectors);
    for (var c = start; c < end; c += ${lanes}u) {
      let centre = centres[c];
      ${rows((r) => `let x${r} = load(row${r} + c);`)}
      ${
    queries((q) => `
      let q${q} = queries[(query + ${q}u) * vectors + c];
      let p${q} = select(q${q}, centre, shifted${q});
      let u${q} = select(vec4f(), q${q}, shifted${q});
      ${rows((r) => `s${q}_${r} = add(s${q}_${r}, p${q} - x${r}, u${q});`)}`)
  }
    }
    ${pairs((q, r) => `t${q}_${r} += s${q}_${r};`)}
  }
  ${lanes === 1 ? "" : tree}
  if (lane == 0u) {
    let base = group.y * chunk.stride + row;
    ${rows((r) => `if (row + ${r}u <= last) { distances[base + ${r}u] = ${sum(r)}; }`)}
  }
}`;
}

/** What the statistics kernel writes per chunk and query. */
const PARTIAL = /* wgsl */ `
struct Partial {
  least: f32,     // the least distance in the chunk
  second: f32,    // the second least
  row: u32,       // the row of the least, in the data set
  reference: f32, // the distance that the sums are relative to
  z: f32, z2: f32, a: f32, unused: f32,
}`;

/** A function of the kernels: `exp(−e)` to about one rounding. */
export const DECAY: string = /* wgsl */ `
// exp(-e) to about one rounding: exp(-r) 2^-n with e = n log 2 + r. The leading
// part of log 2 has 9 bits, so that its product with n is exact.
fn decay(e: f32) -> f32 {
  if (!(e < 87.0)) { return 0.0; }
  let n = floor(fma(e, 1.44269504, 0.5));
  let r = fma(n, 2.12194440e-4, fma(n, -0.693359375, e));
  var p = fma(r, -${1 / 5040}, ${1 / 720});
  p = fma(r, -p, ${1 / 120});
  p = fma(r, -p, ${1 / 24});
  p = fma(r, -p, ${1 / 6});
  p = fma(r, -p, 0.5);
  return fma(r * r, p, 1.0 - r) * bitcast<f32>((127u - u32(n)) << 23u);
}`;

/**
 * Kernel 3, statistics: the distances of a chunk become weights, and their sums.
 *
 * - Computes per query, with the running minimum `m` over all chunks so far and
 *   `rate = scale²/2σ²`: the weights `w = exp(−(D − m)·rate)` in place, and over the chunk the least and
 *   second least distance, the row of the least, `Z = Σ w`, `Z₂ = Σ w²`, `A = Σ w·log w`.
 * - Keeping a minimum distance rather than a maximum logit keeps logit differences
 *   exact at low noise: distances are subtracted before they are divided by 2σ².
 * - Layout: one work-group of 256 threads per query, two passes over the distances
 *   of the chunk, a tree over the threads after each.
 * - Memory: `chunkRows` floats per query, read twice and written once; 5 KiB of work-group memory.
 * - Output: `partials[chunk, query]`, merged in float64 by the caller. Ties
 *   take the lowest row; without a second row the second distance is 3e38. `state.factor` is what earlier
 *   sums must be multiplied by. Weights below `negligible` become 0, but count in `Z`.
 * - Error: of `w`, about two roundings plus one rounding of the exponent; of the sums, `log₂` of their length roundings.
 *
 * @param perGroup Queries per work-group of the distance kernel, 1 or 4.
 * @returns The shader.
 */
export function statisticsShader(perGroup: 1 | 4): string {
  const size = STATISTICS_WORKGROUP;
  return /* wgsl */ `
${CHUNK}
${QUERY}
${PARTIAL}
${DECAY}
struct State { least: f32, factor: f32 }
struct Least { least: f32, second: f32, row: u32 }
@group(0) @binding(0) var<storage, read_write> distances: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<State>;
@group(0) @binding(2) var<storage, read_write> partials: array<Partial>;
@group(0) @binding(3) var<uniform> chunk: Chunk;
@group(0) @binding(4) var<storage, read> each: array<Query>;
var<workgroup> leasts: array<Least, ${size}>;
var<workgroup> sums: array<vec3f, ${size}>;

fn merge(a: Least, b: Least) -> Least {
  let first = a.least < b.least || (a.least == b.least && a.row < b.row);
  if (first) { return Least(a.least, min(a.second, b.least), a.row); }
  return Least(b.least, min(b.second, a.least), b.row);
}

@compute @workgroup_size(${size})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let query = group.x;
  let base = query / ${perGroup}u * chunk.stride * ${perGroup}u + query % ${perGroup}u;
  var mine = Least(${NO_DISTANCE}, ${NO_DISTANCE}, 0xffffffffu);
  for (var row = thread; row < chunk.rows; row += ${size}u) {
    let d = distances[base + row * ${perGroup}u];
    mine = merge(mine, Least(d, ${NO_DISTANCE}, row));
  }
  leasts[thread] = mine;
  for (var half = ${size / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      leasts[thread] = merge(leasts[thread], leasts[thread + half]);
    }
  }
  workgroupBarrier();
  let found = leasts[0];
  let before = state[query].least;
  storageBarrier();
  let opening = chunk.index == 0u;
  let least = select(min(before, found.least), found.least, opening);
  let rate = abs(each[query].rate);

  var sum = vec3f();
  for (var row = thread; row < chunk.rows; row += ${size}u) {
    let at = base + row * ${perGroup}u;
    let e = (distances[at] - least) * rate;
    let w = decay(e);
    if (w > 0.0) { sum += w * vec3f(1.0, w, -e); }
    // A negative rate marks a query that only fills its block.
    distances[at] = select(0.0, w, w >= chunk.negligible && each[query].rate >= 0.0);
  }
  sums[thread] = sum;
  for (var half = ${size / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0u) {
    let total = sums[0];
    partials[chunk.index * groups.x + query] = Partial(
      found.least, found.second, chunk.first + found.row, least,
      total.x, total.y, total.z, 0.0,
    );
    state[query] = State(least, select(decay((before - least) * rate), 0.0, opening));
  }
}`;
}

/**
 * Kernel 4, weighted sum: adds `Σᵢ wᵢ (xᵢ − c)` of a chunk to the running sums. For floats `c` is the middle of the data,
 * where it is not 0, the differences are exact (`data_box.ts`), so that no offset of the data enters; for bytes it is 0.
 *
 * - Algorithm: per split of the chunk a sum of its own, so that a single query
 *   fills the device and sums stay short. Rows without weight are not read.
 * - Layout: a work-group covers `columns` vectors of a row; its `64/columns`
 *   groups of threads take turns at the rows and are added by a tree.
 *   Work-groups `(⌈vectors/columns⌉, splits, ⌈queries/perGroup⌉)`, one pass.
 * - Memory: reads the chunk once per `perGroup` queries where it has weight; `sums` is
 *   `[splits, queries, vectors]` vectors; 4 KiB of work-group memory.
 * - Output: `sums`, stored units, relative to the running minimum.
 * - Error: one rounding per row of a split and per chunk, of sums of the size of the data about `c`.
 *
 * @param plan The plan.
 * @param perGroup Queries per work-group, 1 or 4.
 * @returns The shader.
 */
export function weightedSumShader(
  plan: PosteriorPlan,
  perGroup: 1 | 4,
): string {
  const { columns } = plan;
  const turns = WORKGROUP / columns;
  const type = perGroup === 1 ? "f32" : "vec4f";
  const weight = (q: number) => perGroup === 1 ? "w" : `w[${q}]`;
  const tree = turns === 1 ? "" : /* wgsl */ `
  ${repeat(perGroup, (q) => `partial[${q * WORKGROUP}u + thread] = sum${q};`)}
  for (var half = ${WORKGROUP / 2}u; half >= ${columns}u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      for (var at = thread; at < ${perGroup * WORKGROUP}u; at += ${WORKGROUP}u) {
        partial[at] += partial[at + half];
      }
    }
  }
  ${repeat(perGroup, (q) => `sum${q} = partial[${q * WORKGROUP}u + thread];`)}`;
  return /* wgsl */ `
${CHUNK}
struct State { least: f32, factor: f32 }
${dataBinding(plan)}
@group(0) @binding(1) var<storage, read> weights: array<${type}>;
@group(0) @binding(2) var<storage, read> state: array<State>;
@group(0) @binding(3) var<uniform> chunk: Chunk;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(5) var<storage, read> anchors: array<vec4f>;
${turns === 1 ? "" : `var<workgroup> partial: array<vec4f, ${perGroup * WORKGROUP}>;`}

fn store(at: u32, factor: f32, sum: vec4f) {
  if (chunk.index == 0u) { sums[at] = sum; } else { sums[at] = fma(sums[at], vec4f(factor), sum); }
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let column = group.x * ${columns}u + thread % ${columns}u;
  let vectors = chunk.vectors;
  let end = min((group.y + 1u) * chunk.splitRows, chunk.rows);
  let base = group.z * chunk.stride;
  ${repeat(perGroup, (q) => `var sum${q} = vec4f();`)}
  if (column < vectors) {
    let anchor = anchors[column];
    for (var row = group.y * chunk.splitRows + thread / ${columns}u; row < end; row += ${turns}u) {
      let w = weights[base + row];
      if (any(w != ${type}())) {
        let x = load(row * vectors + column) - anchor;
        ${
    repeat(
      perGroup,
      (q) => `sum${q} = fma(vec4f(${weight(q)}), x, sum${q});`,
    )
  }
      }
    }
  }
  ${tree}
  if (thread < ${columns}u && column < vectors) {
    let query = group.z * ${perGroup}u;
    let at = (group.y * groups.z * ${perGroup}u + query) * vectors + column;
    ${
    repeat(
      perGroup,
      (q) => `store(at + ${q}u * vectors, state[query + ${q}u].factor, sum${q});`,
    )
  }
  }
}`;
}

/**
 * Kernel 5, normalise: `1/Z` over all chunks, as the weighted sums need it.
 *
 * - Algorithm: partial sums are brought to the last reference and added.
 * - Layout: one work-group of 64 threads per query, one pass, a tree over the threads.
 * - Memory: reads `[chunks, queries]` partial states.
 * - Output: `inverses[query]`.
 * - Error: that of a weight and of a sum of `⌈chunks/64⌉` terms, and a division.
 *
 * @returns The shader.
 */
export function normaliseShader(): string {
  return /* wgsl */ `
${QUERY}
${PARTIAL}
${DECAY}
@group(0) @binding(0) var<storage, read> partials: array<Partial>;
@group(0) @binding(1) var<storage, read> each: array<Query>;
@group(0) @binding(2) var<storage, read_write> inverses: array<f32>;
var<workgroup> sums: array<f32, ${WORKGROUP}>;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let query = group.x;
  let rate = abs(each[query].rate);
  let chunks = arrayLength(&partials) / groups.x;
  let reference = partials[(chunks - 1u) * groups.x + query].reference;
  var sum = 0.0;
  for (var chunk = thread; chunk < chunks; chunk += ${WORKGROUP}u) {
    let found = partials[chunk * groups.x + query];
    sum = fma(decay((found.reference - reference) * rate), found.z, sum);
  }
  sums[thread] = sum;
  for (var half = ${WORKGROUP / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0u) { inverses[query] = 1.0 / sums[0]; }
}`;
}

/**
 * Kernel 6, finish: adds the splits, divides by `Z` and goes back to data units.
 *
 * - Computes `mean = ((Σ sums)·(1/Z)·scale + o) + low`, with the value `o + low` of `c` in two parts.
 * - Layout: one thread per number, work-groups `(⌈d/64⌉, queries)`, one pass.
 * - Memory: reads `[splits, queries, vectors]` vectors, writes `[queries, d]` floats without padding.
 * - Error: one rounding per split and three more.
 *
 * @returns The shader.
 */
export function finishShader(): string {
  return /* wgsl */ `
struct Finish {
  dimension: u32, vectors: u32, splits: u32, queries: u32, scale: f32, low: f32,
}
@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> inverses: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<uniform> finish: Finish;
@group(0) @binding(4) var<storage, read> values: array<f32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let query = id.y;
  if (c >= finish.dimension) { return; }
  let stride = finish.queries * finish.vectors * 4u;
  var at = query * finish.vectors * 4u + c;
  var sum = 0.0;
  for (var split = 0u; split < finish.splits; split++) {
    sum += sums[at];
    at += stride;
  }
  mean[query * finish.dimension + c] =
    fma(sum * inverses[query], finish.scale, values[c]) + finish.low;
}`;
}
