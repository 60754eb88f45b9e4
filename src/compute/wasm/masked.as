// Posterior means with a softmax of its own for each coordinate over a masked distance, in AssemblyScript;
// `deno task wasm masked` compiles it.
//
// For query q, rows x_i and output coordinate m, in stored units, with h = scale^2 / 2 sigma^2 tau:
//   E(i, m) = sum_n G[n, m] (x_i[n] - q[n])^2 - w_i / h,   D[m] = sum_i exp(-h E(i, m)) x_i[m] / sum_i exp(-h E(i, m))
//
// Algorithm: 16 rows at a time, one row per lane in 4 vectors.
//   1. The rows are transposed: X[n], 16 float32.
//   2. Their entries become integers, T[n] = round((x - a_n)(x - b_n) / s - c_n / s), where (x - a)(x - b) is
//      (x - q)^2 but for a number that is the same for all rows, and c_n centres it.
//   3. Columns are summed along a tree (mask_tree.ts): each from the sum of its parent, plus and minus the
//      entries that differ. s is such that no column sum exceeds 2^30; integers wrap around, so that
//      the sums are exact on whatever way.
//   4. Each column keeps a streaming softmax (M, Z, Y) relative to a reference M near the least sum so far:
//      it moves when a sum is below it by 8 bits of weight, and rows that weigh less than `cut` bits are left out.
// Memory: T and X of 64 bytes per coordinate, 32 bytes of state per column, the program: what an L2 cache holds.
//
// Error: an entry is off by at most 1/2 + |(x - a)(x - b)| 2^-22 / s (four float32 roundings), so that a column of k ones
// is off by at most k/2 + 2^9 units s, and by about sqrt(k) (0.3 + 20/k) in the root mean square; besides, a query is
// rounded to float32. Where h s times that is more than float32 rounding (small sigma), the integers only sort
// out: `exact` is set, and every row whose sum is not above the least sum by more than `cut` and `margin`, twice the
// bound, is measured again by direct differences in float64, over the ones of its column.
//
// The arithmetic of a query does not depend on others, and how rows are cut into jobs depends on their number alone.

// Bytes of the state of a column: M int32, -; Z, Y, and the least exact E, float64.
const STATE: usize = 32;
// No reference yet.
const NONE: i32 = 0x7fffffff;
const NO_SLOT: usize = 0xffff;

// @ts-ignore: decorator
@inline function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

// @ts-ignore: decorator
@inline function load4<T>(at: usize): v128 {
  if (sizeof<T>() == 1) {
    return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at))));
  }
  return v128.load(at);
}

// ---- entries ----

// @ts-ignore: decorator
@inline function putEntry(x: v128, c: usize, a: usize, b: usize, centre: usize, inverse: v128, X: usize, T: usize): void {
  v128.store(X + (c << 6), x);
  const e = f32x4.sub(x, v128.load32_splat(a + (c << 2)));
  const f = f32x4.mul(f32x4.sub(x, v128.load32_splat(b + (c << 2))), inverse);
  const t = f32x4.sub(f32x4.mul(e, f), v128.load32_splat(centre + (c << 2)));
  v128.store(T + (c << 6), i32x4.trunc_sat_f32x4_s(f32x4.nearest(t)));
}

// Transposes 16 rows, whose addresses are listed, and fills X and T. `query` is laid out as in scan().
function fill<T>(rows: usize, inputs: usize, query: usize, X: usize, T_: usize): void {
  const inverse = v128.load32_splat(query);
  const a = query + 64, b = a + (inputs << 2), centre = b + (inputs << 2);
  for (let g: usize = 0; g < 4; g++) {
    const r0 = <usize>load<u32>(rows + (g << 4)), r1 = <usize>load<u32>(rows + (g << 4), 4);
    const r2 = <usize>load<u32>(rows + (g << 4), 8), r3 = <usize>load<u32>(rows + (g << 4), 12);
    const x = X + (g << 4), t = T_ + (g << 4);
    for (let c: usize = 0; c < inputs; c += 4) {
      const at = c * sizeof<T>();
      const v0 = load4<T>(r0 + at), v1 = load4<T>(r1 + at), v2 = load4<T>(r2 + at), v3 = load4<T>(r3 + at);
      const l0 = v128.shuffle<i32>(v0, v1, 0, 4, 1, 5), l1 = v128.shuffle<i32>(v2, v3, 0, 4, 1, 5);
      const h0 = v128.shuffle<i32>(v0, v1, 2, 6, 3, 7), h1 = v128.shuffle<i32>(v2, v3, 2, 6, 3, 7);
      putEntry(v128.shuffle<i64>(l0, l1, 0, 2), c, a, b, centre, inverse, x, t);
      putEntry(v128.shuffle<i64>(l0, l1, 1, 3), c + 1, a, b, centre, inverse, x, t);
      putEntry(v128.shuffle<i64>(h0, h1, 0, 2), c + 2, a, b, centre, inverse, x, t);
      putEntry(v128.shuffle<i64>(h0, h1, 1, 3), c + 3, a, b, centre, inverse, x, t);
    }
  }
}

// ---- weights ----

// 2^y of d units, y = -d * bits, to 2e-7 of its value; below 2^-100 it stays there.
// @ts-ignore: decorator
@inline function weightOf(d: v128, minusBits: v128): v128 {
  const y = f32x4.pmax(f32x4.mul(f32x4.convert_i32x4_s(d), minusBits), f32x4.splat(-100));
  const k = f32x4.nearest(y);
  const r = f32x4.sub(y, k);
  // (log 2)^j / j!
  let p = madd(r, f32x4.splat(1.5403530e-4), f32x4.splat(1.3333558e-3));
  p = madd(p, r, f32x4.splat(9.6181291e-3));
  p = madd(p, r, f32x4.splat(5.5504109e-2));
  p = madd(p, r, f32x4.splat(2.4022651e-1));
  p = madd(p, r, f32x4.splat(6.9314718e-1));
  p = madd(p, r, f32x4.splat(1));
  return i32x4.add(p, i32x4.shl(i32x4.trunc_sat_f32x4_s(k), 23));
}

// @ts-ignore: decorator
@inline function least4(v: v128): i32 {
  return min(min(i32x4.extract_lane(v, 0), i32x4.extract_lane(v, 1)), min(i32x4.extract_lane(v, 2), i32x4.extract_lane(v, 3)));
}

// Adds the lanes of z and y to the two sums at `state`.
// @ts-ignore: decorator
@inline function addSums(state: usize, z: v128, y: v128): void {
  const a = f32x4.add(v128.shuffle<i32>(z, y, 0, 1, 4, 5), v128.shuffle<i32>(z, y, 2, 3, 6, 7));
  const b = f32x4.add(a, v128.shuffle<i32>(a, a, 1, 0, 3, 2));
  const s = f64x2.promote_low_f32x4(v128.shuffle<i32>(b, b, 0, 2, 0, 2));
  v128.store(state, f64x2.add(v128.load(state, 8), s), 8);
}

function scaleSums(state: usize, factor: f64): void {
  store<f64>(state, load<f64>(state, 8) * factor, 8);
  store<f64>(state, load<f64>(state, 16) * factor, 16);
}

// Measures the rows of a block that may weigh in one column again, and adds them.
//   sums       16 int32, of which `n` count; those above `limit` weigh nothing
//   column     the bits of the column, `words` of 64
//   x          the 16 values of the output coordinate
//   weights    16 float64, the log-weights
function weighExactly(sums: usize, n: usize, limit: i32, state: usize, query: usize, inputs: usize, column: usize, words: usize, X: usize, x: usize, weights: usize): void {
  const h = load<f64>(query, 24), cutNats = load<f64>(query, 32);
  const q = query + 64 + inputs * 12;
  for (let i: usize = 0; i < n; i++) {
    if (load<i32>(sums + (i << 2)) > limit) continue;
    let energy = -load<f64>(weights + (i << 3)) / h;
    for (let w: usize = 0; w < words; w++) {
      for (let word = load<u64>(column + (w << 3)); word != 0; word &= word - 1) {
        const c = (w << 6) + <usize>ctz(word);
        const d = <f64>load<f32>(X + (c << 6) + (i << 2)) - load<f64>(q + (c << 3));
        energy += d * d;
      }
    }
    const before = load<f64>(state, 24);
    if (energy < before) {
      store<f64>(state, energy, 24);
      scaleSums(state, before == Infinity ? 0 : Math.exp((energy - before) * h));
    }
    const l = (load<f64>(state, 24) - energy) * h;
    if (l < -cutNats) continue;
    const w = Math.exp(l);
    store<f64>(state, load<f64>(state, 8) + w, 8);
    store<f64>(state, load<f64>(state, 16) + w * <f64>load<f32>(x + (i << 2)), 16);
  }
}

// ---- the scan ----

// One job: some rows of one query.
//   bytes      1 if the rows are signed bytes, 0 if float32
//   data       the first row; rowBytes from one to the next
//   inputs     numbers per row that are looked at, the dimension up to a multiple of 4; the padding is 0
//   program    see mask_tree.ts
//   columns    their number
//   mask       for exact queries: the columns' bits in the order of the program, `words` of 64 each
//   slots      of the program
//   job        uint32: list of rows (0: consecutive), first row, number of rows, query, states, log-weights (0: none)
//   scratch    per thread: addresses 64, lanes 64, weights 128, sums 64, slots 64 each, X and T 64 per input
//   stop       an int32 that another thread may set to 1 to end early
// A query: float32 1/s; float32 bits of weight per unit s; int32 cut, low, margin; int32 exact;
// float64 h, cut in nats; from 64 on `inputs` float32 each of a, b, centre/s, then float64 q.
export function scan(bytes: i32, data: usize, rowBytes: usize, inputs: usize, program: usize, columns: usize, mask: usize, words: usize, slotCount: usize, job: usize, scratch: usize, stop: usize): void {
  const list = <usize>load<u32>(job), first = <usize>load<u32>(job, 4), count = <usize>load<u32>(job, 8);
  const query = <usize>load<u32>(job, 12), states = <usize>load<u32>(job, 16), logWeights = <usize>load<u32>(job, 20);
  const bits = load<f32>(query, 4), cut = load<i32>(query, 8), low = load<i32>(query, 12);
  const margin = load<i32>(query, 16), exact = load<i32>(query, 20) != 0, h = load<f64>(query, 24);
  const rows = scratch, lanes = rows + 64, weights = lanes + 64, sums = weights + 128, slots = sums + 64;
  const X = slots + (slotCount << 6), T = X + (inputs << 6);
  for (let i: usize = 0; i < columns; i++) {
    const state = states + i * STATE;
    store<i32>(state, NONE);
    store<f64>(state, 0, 8);
    store<f64>(state, 0, 16);
    store<f64>(state, Infinity, 24);
  }
  const minusBits = f32x4.splat(-bits);
  for (let from: usize = 0; from < count; from += 16) {
    if (atomic.load<i32>(stop)) return;
    const n = min<usize>(16, count - from);
    for (let i: usize = 0; i < 16; i++) {
      // Lanes without a row repeat the last one, and weigh nothing.
      const at = first + from + min(i, n - 1);
      store<u32>(rows + (i << 2), <u32>(data + (list ? <usize>load<u32>(list + (at << 2)) : at) * rowBytes));
      store<u32>(lanes + (i << 2), i < n ? 0xffffffff : 0);
      const w = logWeights ? load<f64>(logWeights + (at << 3)) : 0;
      store<f64>(weights + (i << 3), w);
      // The sum of the empty column: weights relative to the middle of their range.
      store<i32>(slots + (i << 2), <i32>Math.round((load<f64>(query, 40) - w) / h * <f64>load<f32>(query)));
    }
    if (bytes) fill<i8>(rows, inputs, query, X, T);
    else fill<f32>(rows, inputs, query, X, T);
    const a0 = v128.load(lanes), a1 = v128.load(lanes, 16), a2 = v128.load(lanes, 32), a3 = v128.load(lanes, 48);
    let s0 = v128.load(slots), s1 = v128.load(slots, 16), s2 = v128.load(slots, 32), s3 = v128.load(slots, 48);
    let p = program, state = states, column = mask;
    for (let i: usize = 0; i < columns; i++, state += STATE, column += words << 3) {
      const begin = <usize>load<u16>(p), keep = <usize>load<u16>(p, 2);
      const entering = <usize>load<u16>(p, 4), leaving = <usize>load<u16>(p, 6), output = <usize>load<u16>(p, 8);
      p += 10;
      if (begin != NO_SLOT) {
        const at = slots + (begin << 6);
        s0 = v128.load(at); s1 = v128.load(at, 16); s2 = v128.load(at, 32); s3 = v128.load(at, 48);
      }
      for (const end = p + (entering << 1); p < end; p += 2) {
        const at = T + (<usize>load<u16>(p) << 6);
        s0 = i32x4.add(s0, v128.load(at)); s1 = i32x4.add(s1, v128.load(at, 16));
        s2 = i32x4.add(s2, v128.load(at, 32)); s3 = i32x4.add(s3, v128.load(at, 48));
      }
      for (const end = p + (leaving << 1); p < end; p += 2) {
        const at = T + (<usize>load<u16>(p) << 6);
        s0 = i32x4.sub(s0, v128.load(at)); s1 = i32x4.sub(s1, v128.load(at, 16));
        s2 = i32x4.sub(s2, v128.load(at, 32)); s3 = i32x4.sub(s3, v128.load(at, 48));
      }
      if (keep != NO_SLOT) {
        const at = slots + (keep << 6);
        v128.store(at, s0); v128.store(at, s1, 16); v128.store(at, s2, 32); v128.store(at, s3, 48);
      }
      const x = X + (output << 6);
      const least = i32x4.min_s(i32x4.min_s(s0, s1), i32x4.min_s(s2, s3));
      if (exact) {
        const lowest = min(load<i32>(state), least4(least));
        store<i32>(state, lowest);
        const limit = <i32>min<i64>(NONE, <i64>lowest + <i64>cut + <i64>margin);
        if (!v128.any_true(i32x4.le_s(least, i32x4.splat(limit)))) continue;
        v128.store(sums, s0); v128.store(sums, s1, 16); v128.store(sums, s2, 32); v128.store(sums, s3, 48);
        weighExactly(sums, n, limit, state, query, inputs, column, words, X, x, weights);
        continue;
      }
      let reference = load<i32>(state);
      if (reference == NONE || v128.any_true(i32x4.lt_s(i32x4.sub(least, i32x4.splat(reference)), i32x4.splat(low)))) {
        const moved = least4(least);
        if (reference != NONE) scaleSums(state, Math.exp(0.6931471805599453 * <f64>(moved - reference) * <f64>bits));
        reference = moved;
        store<i32>(state, moved);
      }
      if (!v128.any_true(i32x4.lt_s(i32x4.sub(least, i32x4.splat(reference)), i32x4.splat(cut)))) continue;
      const m = i32x4.splat(reference);
      const w0 = v128.and(weightOf(i32x4.sub(s0, m), minusBits), a0);
      let z = w0, y = f32x4.mul(w0, v128.load(x));
      const w1 = v128.and(weightOf(i32x4.sub(s1, m), minusBits), a1);
      z = f32x4.add(z, w1); y = madd(w1, v128.load(x, 16), y);
      const w2 = v128.and(weightOf(i32x4.sub(s2, m), minusBits), a2);
      z = f32x4.add(z, w2); y = madd(w2, v128.load(x, 32), y);
      const w3 = v128.and(weightOf(i32x4.sub(s3, m), minusBits), a3);
      z = f32x4.add(z, w3); y = madd(w3, v128.load(x, 48), y);
      addSums(state, z, y);
    }
  }
}

// ---- preparations ----

// The number of bits in which two columns of `words` 64-bit words differ.
// @ts-ignore: decorator
@inline function distance(a: usize, b: usize, words: usize): u32 {
  let sum: u64 = 0, more: u64 = 0;
  const end = a + (words << 3);
  for (; a + 32 <= end; a += 32, b += 32) {
    sum += popcnt(load<u64>(a) ^ load<u64>(b)) + popcnt(load<u64>(a, 8) ^ load<u64>(b, 8));
    more += popcnt(load<u64>(a, 16) ^ load<u64>(b, 16)) + popcnt(load<u64>(a, 24) ^ load<u64>(b, 24));
  }
  for (; a < end; a += 8, b += 8) sum += popcnt(load<u64>(a) ^ load<u64>(b));
  return <u32>(sum + more);
}

// The minimum spanning tree of the columns of a mask by Hamming distance, by Prim's algorithm.
//   mask       the columns' bits, `words` of 64 each
//   parents    out: per column the number of its parent, -1 for the empty column, int32
//   scratch    per column its distance to the tree and its number, uint32 each
export function spanningTree(mask: usize, words: usize, columns: usize, parents: usize, scratch: usize): void {
  const left = scratch + (columns << 2);
  for (let m: usize = 0; m < columns; m++) {
    let size: u64 = 0;
    for (let w: usize = 0; w < words; w++) size += popcnt(load<u64>(mask + ((m * words + w) << 3)));
    store<u32>(scratch + (m << 2), <u32>size);
    store<i32>(parents + (m << 2), -1);
    store<u32>(left + (m << 2), <u32>m);
  }
  for (let many = columns; many > 0; many--) {
    let best: usize = 0, least: u32 = 0xffffffff;
    for (let i: usize = 0; i < many; i++) {
      const d = load<u32>(scratch + (<usize>load<u32>(left + (i << 2)) << 2));
      if (d < least) {
        least = d;
        best = i;
      }
    }
    const next = load<u32>(left + (best << 2));
    store<u32>(left + (best << 2), load<u32>(left + ((many - 1) << 2)));
    const column = mask + ((<usize>next * words) << 3);
    for (let i: usize = 0; i < many - 1; i++) {
      const m = <usize>load<u32>(left + (i << 2));
      const d = distance(mask + ((m * words) << 3), column, words);
      if (d < load<u32>(scratch + (m << 2))) {
        store<u32>(scratch + (m << 2), d);
        store<u32>(parents + (m << 2), next);
      }
    }
  }
}

// Where the module's own constants end: data may lie from here on.
export function heapBase(): usize {
  return __heap_base;
}
