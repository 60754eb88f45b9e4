// The kernels for CPUs, in AssemblyScript; `deno task wasm` compiles them.
//
// nearest(): the rows nearest to each query, exactly, by the same distances.
//
// scan(): the posterior. For each query q and the rows x_i of one shard, in stored units,
//   d_i = |q - x_i|^2,  w_i = exp(-(d_i - d_min) g),  g = scale^2 / 2 sigma^2,
//   Z = sum w_i,  Z2 = sum w_i^2,  A = sum w_i log w_i,  Y = sum w_i x_i,
// with a running minimum d_min: the streaming softmax, whose states merge over shards.
//
// Algorithm: blocks of rows that fit the L2 cache are used twice, first for the
// distances (4 queries x 2 rows in registers), then for the weighted sums
// (4 queries x 8 columns in registers); nothing of size queries x rows is kept
// beyond one block.
//
// Distances to floats are direct differences: float32 partial sums over 256
// numbers each, added in float64. The rounding of a distance is relative to it, so that for queries far from all data, whose
// distances are large and nearly equal, it would hide their differences. There distances come from products, d = |q - c|^2 +
// |x - c|^2 - 2 <q - c, x - c> with c in the middle of the data, the products summed likewise and the norms float64.
//
// Distances to bytes are integer arithmetic. Rows are stored as signed bytes v,
// and a query, relative to the same origin, as two digits of 16 bits,
//   q = s1 h + s2 l + rest,  |rest| <= s2 / 2,  s1 = max|q| / 32767,  s2 = s1 / 65534,
// so that d = |q|^2 + |v|^2 - 2 s1 <h,v> - 2 s2 <l,v>, where both products are
// exact sums of integers (8 multiply-adds per instruction). The first digit
// alone leaves an error of at most
//   e = s1 sqrt(dim) |v|max,  because |2 <q - s1 h, v>| <= s1 |v|_1.
// A row whose distance by the first digit is above max(d_min + cut/g, d_second) + e
// can neither weigh nor be the second nearest, and is dropped; all others get
// the second digit, after which the error is that of a query rounded to 31 bits.
// Where the first digit is already as good as float32 (high noise), e = 0 is
// passed in and there is no second digit.
//
// Tilted posteriors: a query x and M vectors e_m stand for M queries x + c e_m. Their distances differ by
//   |x + c e_m - x_i|^2 = |x - x_i|^2 - 2 c <e_m, x_i> + const,
// so that the work of measuring is done once, and that of the products, which tilt() does, once for all calls.
// Here distances to floats come from products as well, at any distance, s1 = 1. They are off by less than
//   e = 2 (16 + min(dim, 256) / 4) 2^-24 |q - c| |x - c|max,
// the float32 sums in 4 lanes; rows that this cannot rule out are measured by direct differences, unless what
// the rounding usually comes to is below float32's in the logit anyway; then e = 0 is passed in.
//
// Dropped rows are in none of the sums; together they weigh at most exp(-cut) N
// of the total, which the caller makes less than float32 rounding.
//
// Weights and their sums are float64; Y is float32, summed over a block from
// zero and then added; of floats it is the sum of w_i (x_i - c), where c is such that these differences are exact. Where the weights of a block of bytes are even (none above R times their mean, as at
// high noise), they become integers of 15 bits relative to the largest, and the sum over the block is
// exact. The rounding of the weights, 2^-15/sqrt(12) in the root mean square, then moves the mean by about
// 2^-15/sqrt(12) R / sqrt(N) of the spread of the data; the caller's R = sqrt(N)/16 makes this 2^-19, of a
// spread of one half at most, that is 4 units in the last place of a number near 1.
//
// The arithmetic of one query does not depend on the others, so a query has the
// same bits alone and in a batch: a weight is either accumulated or exactly 0,
// and 0 * x adds nothing.

// Float64 numbers in the state of one query.
const STATE: usize = 8; // d_min, d_second, index, Z, Z2, A, -, -
// Float64 numbers in the parameters of one query.
const PARAMETERS: usize = 8; // g, cut, |q|^2, s1, s2, e, evenness, tilt
const BLOCK_SUM: usize = 256;
// |v h| <= 2^7 2^15; two of them per 32-bit lane and step, so 2^23 * 128 steps = 2^30.
const BLOCK_DOT: usize = 1024;
// v v <= 2^14; two of them per lane and step of 8, so 2^15 * 2^14 steps = 2^29.
const BLOCK_NORM: usize = 131072;
// Columns that are interleaved at a time: 64 rows of them are 64 KiB.
const BLOCK_COLUMNS: usize = 512;

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

// @ts-ignore: decorator
@inline function sum4(v: v128): f64 {
  return <f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1) +
    (<f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3));
}

// Exact: each lane is below 2^31.
// @ts-ignore: decorator
@inline function sum4i(v: v128): f64 {
  return <f64>i32x4.extract_lane(v, 0) + <f64>i32x4.extract_lane(v, 1) +
    (<f64>i32x4.extract_lane(v, 2) + <f64>i32x4.extract_lane(v, 3));
}

// Sums the lanes of two accumulators, exactly, as two float64.
// @ts-ignore: decorator
@inline function sums2(a: v128, b: v128): v128 {
  const p = f64x2.add(f64x2.convert_low_i32x4_s(a), f64x2.convert_low_i32x4_s(v128.shuffle<i64>(a, a, 1, 0)));
  const q = f64x2.add(f64x2.convert_low_i32x4_s(b), f64x2.convert_low_i32x4_s(v128.shuffle<i64>(b, b, 1, 0)));
  return f64x2.add(v128.shuffle<i64>(p, q, 0, 2), v128.shuffle<i64>(p, q, 1, 3));
}

// @ts-ignore: decorator
@inline function addTwo(at: usize, v: v128): void {
  v128.store(at, f64x2.add(v128.load(at), v));
}

// @ts-ignore: decorator
@inline function add64(at: usize, v: f64): void {
  store<f64>(at, load<f64>(at) + v);
}

// ---- floats: direct differences ----

function distances4x2(row: usize, rowBytes: usize, q: usize, stride: usize, out: usize, outStride: usize): void {
  const qb = stride << 2;
  const row1 = row + rowBytes;
  let d00: f64 = 0, d10: f64 = 0, d20: f64 = 0, d30: f64 = 0;
  let d01: f64 = 0, d11: f64 = 0, d21: f64 = 0, d31: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s00 = f32x4.splat(0), s10 = s00, s20 = s00, s30 = s00;
    let s01 = s00, s11 = s00, s21 = s00, s31 = s00;
    for (let c = from << 2; c < to << 2; c += 16) {
      const x0 = v128.load(row + c);
      const x1 = v128.load(row1 + c);
      const q0 = v128.load(q + c);
      const e00 = f32x4.sub(q0, x0);
      s00 = madd(e00, e00, s00);
      const e01 = f32x4.sub(q0, x1);
      s01 = madd(e01, e01, s01);
      const q1 = v128.load(q + qb + c);
      const e10 = f32x4.sub(q1, x0);
      s10 = madd(e10, e10, s10);
      const e11 = f32x4.sub(q1, x1);
      s11 = madd(e11, e11, s11);
      const q2 = v128.load(q + 2 * qb + c);
      const e20 = f32x4.sub(q2, x0);
      s20 = madd(e20, e20, s20);
      const e21 = f32x4.sub(q2, x1);
      s21 = madd(e21, e21, s21);
      const q3 = v128.load(q + 3 * qb + c);
      const e30 = f32x4.sub(q3, x0);
      s30 = madd(e30, e30, s30);
      const e31 = f32x4.sub(q3, x1);
      s31 = madd(e31, e31, s31);
    }
    d00 += sum4(s00); d10 += sum4(s10); d20 += sum4(s20); d30 += sum4(s30);
    d01 += sum4(s01); d11 += sum4(s11); d21 += sum4(s21); d31 += sum4(s31);
  }
  store<f64>(out, d00); store<f64>(out + 8, d01); out += outStride;
  store<f64>(out, d10); store<f64>(out + 8, d11); out += outStride;
  store<f64>(out, d20); store<f64>(out + 8, d21); out += outStride;
  store<f64>(out, d30); store<f64>(out + 8, d31);
}

// The same arithmetic per pair as the blocked form.
function distances1x2(row: usize, row1: usize, q: usize, stride: usize, out: usize, out1: usize): void {
  let d0: f64 = 0, d1: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s0 = f32x4.splat(0), s1 = s0;
    for (let c = from << 2; c < to << 2; c += 16) {
      const qv = v128.load(q + c);
      const e0 = f32x4.sub(qv, v128.load(row + c));
      s0 = madd(e0, e0, s0);
      const e1 = f32x4.sub(qv, v128.load(row1 + c));
      s1 = madd(e1, e1, s1);
    }
    d0 += sum4(s0); d1 += sum4(s1);
  }
  store<f64>(out, d0);
  store<f64>(out1, d1);
}

function floatDistances(block: usize, rowBytes: usize, n: usize, stride: usize, q: usize, many: usize, out: usize, outStride: usize): void {
  const qb = stride << 2;
  let r: usize = 0;
  if (many == 4) {
    for (; r + 1 < n; r += 2) distances4x2(block + r * rowBytes, rowBytes, q, stride, out + (r << 3), outStride);
  }
  for (; r < n; r += 2) {
    // An odd last row is its own partner.
    const r1 = min(r + 1, n - 1);
    for (let k: usize = 0; k < many; k++) {
      const o = out + k * outStride;
      distances1x2(block + r * rowBytes, block + r1 * rowBytes, q + k * qb, stride, o + (r << 3), o + (r1 << 3));
    }
  }
}

// Sums the lanes of two float32 accumulators as two float64.
// @ts-ignore: decorator
@inline function sums2f(a: v128, b: v128): v128 {
  const p = f64x2.add(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(v128.shuffle<i64>(a, a, 1, 0)));
  const q = f64x2.add(f64x2.promote_low_f32x4(b), f64x2.promote_low_f32x4(v128.shuffle<i64>(b, b, 1, 0)));
  return f64x2.add(v128.shuffle<i64>(p, q, 0, 2), v128.shuffle<i64>(p, q, 1, 3));
}

// Products of 4 float queries with 2 rows, less the centre.
function products4x2(row: usize, row1: usize, centre: usize, q: usize, stride: usize, out: usize, outStride: usize): void {
  const qb = stride << 2;
  let d0 = f64x2.splat(0), d1 = d0, d2 = d0, d3 = d0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s00 = f32x4.splat(0), s10 = s00, s20 = s00, s30 = s00;
    let s01 = s00, s11 = s00, s21 = s00, s31 = s00;
    let p0 = q + (from << 2), p1 = p0 + qb, p2 = p1 + qb, p3 = p2 + qb;
    let r1 = row1 + (from << 2), m = centre + (from << 2);
    const end = row + (to << 2);
    // Unrolled so that the addresses are computed once for 8 columns.
    for (let r0 = row + (from << 2); r0 < end; r0 += 32, r1 += 32, m += 32, p0 += 32, p1 += 32, p2 += 32, p3 += 32) {
      const m_0 = v128.load(m);
      const x0_0 = f32x4.sub(v128.load(r0), m_0), x1_0 = f32x4.sub(v128.load(r1), m_0);
      const a_0 = v128.load(p0);
      s00 = madd(a_0, x0_0, s00); s01 = madd(a_0, x1_0, s01);
      const b_0 = v128.load(p1);
      s10 = madd(b_0, x0_0, s10); s11 = madd(b_0, x1_0, s11);
      const c_0 = v128.load(p2);
      s20 = madd(c_0, x0_0, s20); s21 = madd(c_0, x1_0, s21);
      const d_0 = v128.load(p3);
      s30 = madd(d_0, x0_0, s30); s31 = madd(d_0, x1_0, s31);
      const m_4 = v128.load(m, 16);
      const x0_4 = f32x4.sub(v128.load(r0, 16), m_4), x1_4 = f32x4.sub(v128.load(r1, 16), m_4);
      const a_4 = v128.load(p0, 16);
      s00 = madd(a_4, x0_4, s00); s01 = madd(a_4, x1_4, s01);
      const b_4 = v128.load(p1, 16);
      s10 = madd(b_4, x0_4, s10); s11 = madd(b_4, x1_4, s11);
      const c_4 = v128.load(p2, 16);
      s20 = madd(c_4, x0_4, s20); s21 = madd(c_4, x1_4, s21);
      const d_4 = v128.load(p3, 16);
      s30 = madd(d_4, x0_4, s30); s31 = madd(d_4, x1_4, s31);
    }
    d0 = f64x2.add(d0, sums2f(s00, s01)); d1 = f64x2.add(d1, sums2f(s10, s11));
    d2 = f64x2.add(d2, sums2f(s20, s21)); d3 = f64x2.add(d3, sums2f(s30, s31));
  }
  v128.store(out, d0); out += outStride;
  v128.store(out, d1); out += outStride;
  v128.store(out, d2); out += outStride;
  v128.store(out, d3);
}

// The same arithmetic per pair; two rows, because one sum would wait for every addition.
function products1x2(row: usize, row1: usize, centre: usize, q: usize, stride: usize, out: usize, out1: usize): void {
  let d0: f64 = 0, d1: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s0 = f32x4.splat(0), s1 = s0;
    for (let c = from << 2; c < to << 2; c += 16) {
      const qv = v128.load(q + c), m = v128.load(centre + c);
      s0 = madd(qv, f32x4.sub(v128.load(row + c), m), s0);
      s1 = madd(qv, f32x4.sub(v128.load(row1 + c), m), s1);
    }
    const sums = sums2f(s0, s1);
    d0 += f64x2.extract_lane(sums, 0);
    d1 += f64x2.extract_lane(sums, 1);
  }
  store<f64>(out, d0);
  store<f64>(out1, d1);
}

function floatProducts(block: usize, rowBytes: usize, n: usize, stride: usize, centre: usize, q: usize, many: usize, out: usize, outStride: usize): void {
  let r: usize = 0;
  if (many == 4) {
    for (; r + 1 < n; r += 2) {
      const row = block + r * rowBytes;
      products4x2(row, row + rowBytes, centre, q, stride, out + (r << 3), outStride);
    }
  }
  for (; r < n; r += 2) {
    // An odd last row is its own partner.
    const r1 = min(r + 1, n - 1);
    for (let k: usize = 0; k < many; k++) {
      const o = out + k * outStride;
      products1x2(block + r * rowBytes, block + r1 * rowBytes, centre, q + k * (stride << 2), stride, o + (r << 3), o + (r1 << 3));
    }
  }
}

// ---- bytes: integer products ----

// Adds the products of 4 digit rows with 2 byte rows over columns from..to.
function dots4x2(row: usize, row1: usize, q: usize, qb: usize, from: usize, to: usize, out: usize, outStride: usize): void {
  let s00 = i32x4.splat(0), s10 = s00, s20 = s00, s30 = s00;
  let s01 = s00, s11 = s00, s21 = s00, s31 = s00;
  let p0 = q + (from << 1), p1 = p0 + qb, p2 = p1 + qb, p3 = p2 + qb;
  let r0 = row + from, r1 = row1 + from;
  const end = row + to;
  // Unrolled so that the addresses are computed once for 16 columns.
  for (; r0 + 16 <= end; r0 += 16, r1 += 16, p0 += 32, p1 += 32, p2 += 32, p3 += 32) {
      const x0_0 = v128.load8x8_s(r0, 0), x1_0 = v128.load8x8_s(r1, 0);
      const a_0 = v128.load(p0, 0);
      s00 = i32x4.add(s00, i32x4.dot_i16x8_s(a_0, x0_0));
      s01 = i32x4.add(s01, i32x4.dot_i16x8_s(a_0, x1_0));
      const b_0 = v128.load(p1, 0);
      s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b_0, x0_0));
      s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b_0, x1_0));
      const c_0 = v128.load(p2, 0);
      s20 = i32x4.add(s20, i32x4.dot_i16x8_s(c_0, x0_0));
      s21 = i32x4.add(s21, i32x4.dot_i16x8_s(c_0, x1_0));
      const d_0 = v128.load(p3, 0);
      s30 = i32x4.add(s30, i32x4.dot_i16x8_s(d_0, x0_0));
      s31 = i32x4.add(s31, i32x4.dot_i16x8_s(d_0, x1_0));
      const x0_8 = v128.load8x8_s(r0, 8), x1_8 = v128.load8x8_s(r1, 8);
      const a_8 = v128.load(p0, 16);
      s00 = i32x4.add(s00, i32x4.dot_i16x8_s(a_8, x0_8));
      s01 = i32x4.add(s01, i32x4.dot_i16x8_s(a_8, x1_8));
      const b_8 = v128.load(p1, 16);
      s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b_8, x0_8));
      s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b_8, x1_8));
      const c_8 = v128.load(p2, 16);
      s20 = i32x4.add(s20, i32x4.dot_i16x8_s(c_8, x0_8));
      s21 = i32x4.add(s21, i32x4.dot_i16x8_s(c_8, x1_8));
      const d_8 = v128.load(p3, 16);
      s30 = i32x4.add(s30, i32x4.dot_i16x8_s(d_8, x0_8));
      s31 = i32x4.add(s31, i32x4.dot_i16x8_s(d_8, x1_8));
  }
  if (r0 < end) {
      const x0_0 = v128.load8x8_s(r0, 0), x1_0 = v128.load8x8_s(r1, 0);
      const a_0 = v128.load(p0, 0);
      s00 = i32x4.add(s00, i32x4.dot_i16x8_s(a_0, x0_0));
      s01 = i32x4.add(s01, i32x4.dot_i16x8_s(a_0, x1_0));
      const b_0 = v128.load(p1, 0);
      s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b_0, x0_0));
      s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b_0, x1_0));
      const c_0 = v128.load(p2, 0);
      s20 = i32x4.add(s20, i32x4.dot_i16x8_s(c_0, x0_0));
      s21 = i32x4.add(s21, i32x4.dot_i16x8_s(c_0, x1_0));
      const d_0 = v128.load(p3, 0);
      s30 = i32x4.add(s30, i32x4.dot_i16x8_s(d_0, x0_0));
      s31 = i32x4.add(s31, i32x4.dot_i16x8_s(d_0, x1_0));
  }
  addTwo(out, sums2(s00, s01)); out += outStride;
  addTwo(out, sums2(s10, s11)); out += outStride;
  addTwo(out, sums2(s20, s21)); out += outStride;
  addTwo(out, sums2(s30, s31));
}

// The product of 1 digit row with 1 byte row.
function dot1(row: usize, q: usize, stride: usize): f64 {
  let d: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_DOT) {
    let s = i32x4.splat(0), t = s;
    let p = q + (from << 1), r = row + from;
    const end = row + min(stride, from + BLOCK_DOT);
    for (; r + 16 <= end; r += 16, p += 32) {
      s = i32x4.add(s, i32x4.dot_i16x8_s(v128.load(p), v128.load8x8_s(r)));
      t = i32x4.add(t, i32x4.dot_i16x8_s(v128.load(p, 16), v128.load8x8_s(r, 8)));
    }
    if (r < end) s = i32x4.add(s, i32x4.dot_i16x8_s(v128.load(p), v128.load8x8_s(r)));
    d += sum4i(s) + sum4i(t);
  }
  return d;
}

// The products of one digit of `many` queries with all rows of a block.
function blockDots(block: usize, rowBytes: usize, n: usize, stride: usize, q: usize, many: usize, out: usize, outStride: usize): void {
  const qb = stride << 1;
  let paired: usize = 0;
  if (many == 4) {
    paired = n & ~1;
    for (let k: usize = 0; k < 4; k++) memory.fill(out + k * outStride, 0, paired << 3);
    // A part of the queries at a time, so that it stays in the L1 cache.
    for (let from: usize = 0; from < stride; from += BLOCK_DOT) {
      for (let r: usize = 0; r < paired; r += 2) {
        const row = block + r * rowBytes;
        dots4x2(row, row + rowBytes, q, qb, from, min(stride, from + BLOCK_DOT), out + (r << 3), outStride);
      }
    }
  }
  // Row by row, in the order of memory: several rows at a time take twice as long to come from there.
  for (let r = paired; r < n; r++) {
    for (let k: usize = 0; k < many; k++) {
      store<f64>(out + k * outStride + (r << 3), dot1(block + r * rowBytes, q + k * qb, stride));
    }
  }
}

// Brings a block into the cache, in the order of memory, which pairs of rows would not.
// Returns something, so that the compiler leaves it in.
function touch(block: usize, bytes: usize): i32 {
  let any = 0;
  for (let at = block; at < block + bytes; at += 64) any |= load<i32>(at);
  return any;
}

// Turns products by the first digit into distances, two at a time.
// @ts-ignore: decorator
@inline function toDistances(distances: usize, r: usize, norms: usize, square: v128, minus2s: v128): v128 {
  const at = distances + (r << 3);
  return f64x2.add(f64x2.add(square, v128.load(norms + (r << 3))), f64x2.mul(minus2s, v128.load(at)));
}

// Turns products by the first digit into distances, and drops rows that cannot matter by setting theirs to infinity.
function screen(distances: usize, n: usize, norms: usize, p: usize, state: usize): void {
  const square = f64x2.splat(load<f64>(p, 16)), minus2s = f64x2.splat(-2 * load<f64>(p, 24));
  padBlock(distances, n, -Infinity);
  // The two smallest of each lane.
  let least2 = f64x2.splat(Infinity), second2 = least2;
  for (let r: usize = 0; r < n; r += 2) {
    const d = toDistances(distances, r, norms, square, minus2s);
    v128.store(distances + (r << 3), d);
    second2 = f64x2.pmin(second2, f64x2.pmax(least2, d));
    least2 = f64x2.pmin(least2, d);
  }
  drop(distances, n, limitOf(least2, second2, p, state));
}

// The largest distance that can matter, from the two smallest of each lane and those of earlier blocks.
function limitOf(least2: v128, second2: v128, p: usize, state: usize): f64 {
  const e = load<f64>(p, 40);
  // The two smallest upper bounds.
  let least = load<f64>(state), second = load<f64>(state, 8);
  for (let i = 0; i < 4; i++) {
    const v = i == 0 ? f64x2.extract_lane(least2, 0) : i == 1 ? f64x2.extract_lane(least2, 1) :
      i == 2 ? f64x2.extract_lane(second2, 0) : f64x2.extract_lane(second2, 1);
    const u = v + e;
    if (u < least) {
      second = least;
      least = u;
    } else if (u < second) second = u;
  }
  return max(least + load<f64>(p, 8) / load<f64>(p), second) + e;
}

// The same for a tilted query: adds the tilt to its products with the rows before they become distances.
// Returns whether any row is left; if not, the distances are not what they should be.
function screenTilted(base: usize, tilts: usize, distances: usize, n: usize, norms: usize, p: usize, state: usize): bool {
  const square = f64x2.splat(load<f64>(p, 16)), minus2s = f64x2.splat(-2 * load<f64>(p, 24));
  const factor = f64x2.splat(0.5 * load<f64>(p, 56) / load<f64>(p, 24));
  padBlock(base, n, -Infinity);
  let least2 = f64x2.splat(Infinity), second2 = least2;
  for (let r: usize = 0; r < n; r += 2) {
    const tilt = f64x2.promote_low_f32x4(v128.load64_zero(tilts + (r << 2)));
    const product = f64x2.add(v128.load(base + (r << 3)), f64x2.mul(factor, tilt));
    const d = f64x2.add(f64x2.add(square, v128.load(norms + (r << 3))), f64x2.mul(minus2s, product));
    v128.store(distances + (r << 3), d);
    second2 = f64x2.pmin(second2, f64x2.pmax(least2, d));
    least2 = f64x2.pmin(least2, d);
  }
  const limit = limitOf(least2, second2, p, state);
  if (min(f64x2.extract_lane(least2, 0), f64x2.extract_lane(least2, 1)) > limit) return false;
  drop(distances, n, limit);
  return true;
}

// The same for 4 queries. Returns whether any row is left of any.
function screenGroup(base: usize, tilts: usize, offset: usize, distances: usize, ds: usize, many: usize, n: usize, norms: usize, p: usize, state: usize): bool {
  let left = 0;
  for (let k: usize = 0; k < many; k++) {
    const at = load<u32>(tilts + (k << 2)) + offset;
    const any = screenTilted(base + k * ds, at, distances + k * ds, n, norms, p + k * PARAMETERS * 8, state + k * STATE * 8);
    left |= <i32>any << <i32>k;
  }
  if (left == 0) return false;
  for (let k: usize = 0; k < many; k++) {
    if (!(left >> <i32>k & 1)) drop(distances + k * ds, n, -Infinity);
  }
  return true;
}

// Replaces the distances of float rows that are left by direct differences.
function refineFloats(block: usize, rowBytes: usize, n: usize, stride: usize, q: usize, many: usize, parameters: usize, tilts: usize, offset: usize, distances: usize, ds: usize): void {
  for (let k: usize = 0; k < many; k++) {
    const p = parameters + k * PARAMETERS * 8, tilt = load<f64>(p, 56);
    const products = load<u32>(tilts + (k << 2)) + offset;
    if (load<f64>(p, 40) == 0) continue;
    for (let r: usize = 0; r < n; r++) {
      const at = distances + k * ds + (r << 3), row = block + r * rowBytes;
      if (load<f64>(at) == Infinity) continue;
      distances1x2(row, row, q + k * (stride << 2), stride, at, at);
      add64(at, -tilt * <f64>load<f32>(products + (r << 2)));
    }
  }
}

// The place after an odd last row belongs to no row: its product is -infinity, its distance infinity.
// @ts-ignore: decorator
@inline function padBlock(distances: usize, n: usize, value: f64): void {
  if (n & 1) store<f64>(distances + (n << 3), value);
}

// Sets distances above `most` to infinity.
function drop(distances: usize, n: usize, most: f64): void {
  const limit = f64x2.splat(most), none = f64x2.splat(Infinity);
  for (let at = distances; at < distances + (n << 3); at += 16) {
    const d = v128.load(at);
    v128.store(at, v128.bitselect(none, d, f64x2.gt(d, limit)));
  }
}

// Adds the second digit to the rows that are left.
function refine(block: usize, rowBytes: usize, n: usize, stride: usize, low: usize, many: usize, parameters: usize, distances: usize, ds: usize, scratch: usize): void {
  const qb = stride << 1;
  for (let r: usize = 0; r < n; r += 2) {
    const r1 = min(r + 1, n - 1);
    const row = block + r * rowBytes, row1 = block + r1 * rowBytes;
    let left = 0;
    for (let k: usize = 0; k < many; k++) {
      left += <i32>(load<f64>(distances + k * ds + (r << 3)) < Infinity);
      left += <i32>(r1 > r && load<f64>(distances + k * ds + (r1 << 3)) < Infinity);
    }
    if (left == 0) continue;
    if (many == 4 && left > 3) {
      memory.fill(scratch, 0, 64);
      for (let from: usize = 0; from < stride; from += BLOCK_DOT) {
        dots4x2(row, row1, low, qb, from, min(stride, from + BLOCK_DOT), scratch, 16);
      }
      for (let k: usize = 0; k < 4; k++) {
        const s2 = load<f64>(parameters + k * PARAMETERS * 8, 32);
        const at = distances + k * ds;
        // Infinity stays what it is.
        add64(at + (r << 3), -2 * s2 * load<f64>(scratch + (k << 4)));
        if (r1 > r) add64(at + (r1 << 3), -2 * s2 * load<f64>(scratch + (k << 4) + 8));
      }
      continue;
    }
    for (let k: usize = 0; k < many; k++) {
      for (let t = r; t <= r1; t++) {
        const at = distances + k * ds + (t << 3);
        if (load<f64>(at) == Infinity) continue;
        const dot = dot1(block + t * rowBytes, low + k * qb, stride);
        add64(at, -2 * load<f64>(parameters + k * PARAMETERS * 8, 32) * dot);
      }
    }
  }
}

// ---- weights and sums ----

// Constants of exp2(), read from memory: the engine would put together each constant of two lanes from
// scratch in every turn of a loop, which takes longer than the arithmetic.
const EXP = memory.data<f64>([
  1.4426950408889634, 6755399441055744, 0.6931471803691238, 1.9082149292705877e-10,
  1 / 362880.0, 1 / 40320.0, 1 / 5040.0, 1 / 720.0, 1 / 120.0, 1 / 24.0, 1 / 6.0, 0.5, 1,
]);

// exp of two numbers from -64 to 0, to about 1e-11: exp(l) = 2^k exp(r) with |r| <= log(2)/2, a polynomial of degree 9.
// @ts-ignore: decorator
@inline function exp2(l: v128): v128 {
  // Adding 1.5 2^52 rounds to whole numbers and leaves them in the low bits.
  const rounder = v128.load64_splat(EXP, 8);
  const t = f64x2.add(f64x2.mul(l, v128.load64_splat(EXP)), rounder);
  const k = f64x2.sub(t, rounder);
  // log 2 in two parts: k times the first is exact.
  const r = f64x2.sub(f64x2.sub(l, f64x2.mul(k, v128.load64_splat(EXP, 16))), f64x2.mul(k, v128.load64_splat(EXP, 24)));
  let p = f64x2.add(f64x2.mul(r, v128.load64_splat(EXP, 32)), v128.load64_splat(EXP, 40));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 48));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 56));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 64));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 72));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 80));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 88));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 96));
  p = f64x2.add(f64x2.mul(p, r), v128.load64_splat(EXP, 96));
  // Times 2^k, by adding k to the exponent; k >= -93.
  return i64x2.add(p, i64x2.shl(t, 52));
}

// Turns the distances of one query to a block of rows into weights (float32), and updates its state and sums.
// Returns whether any weight is not 0; if not, the weights are not written.
function weigh(distances: usize, weights: usize, n: usize, firstRow: usize, p: usize, state: usize, y: usize, stride: usize): bool {
  const g = load<f64>(p), cut = load<f64>(p, 8);
  padBlock(distances, n, Infinity);
  let nearest2 = f64x2.splat(Infinity);
  for (let at = distances; at < distances + (n << 3); at += 16) nearest2 = f64x2.pmin(nearest2, v128.load(at));
  const nearest = min(f64x2.extract_lane(nearest2, 0), f64x2.extract_lane(nearest2, 1));
  let least = load<f64>(state), second = load<f64>(state, 8);
  const before = least;
  if (nearest < second) {
    for (let r: usize = 0; r < n; r++) {
      const d = load<f64>(distances + (r << 3));
      if (d < least) {
        second = least;
        least = d;
        store<f64>(state, <f64>(firstRow + r), 16);
      } else if (d < second) second = d;
    }
    store<f64>(state, least);
    store<f64>(state, second, 8);
  }
  if (!((nearest - least) * g < cut)) return false;
  let z = load<f64>(state, 24), z2 = load<f64>(state, 32), a = load<f64>(state, 40);
  if (least < before && z > 0) {
    const shift = (least - before) * g;
    const factor = Math.exp(shift);
    a = factor == 0 ? 0 : factor * (a + shift * z);
    z *= factor;
    z2 *= factor * factor;
    const splat = f32x4.splat(<f32>factor);
    for (let c: usize = 0; c < stride << 2; c += 16) v128.store(y + c, f32x4.mul(v128.load(y + c), splat));
  }
  const origin = f64x2.splat(least), rate = f64x2.splat(g), lowest = f64x2.splat(-cut);
  let zs = f64x2.splat(0), z2s = zs, as = zs;
  for (let r: usize = 0; r < n; r += 2) {
    const l = f64x2.mul(f64x2.sub(origin, v128.load(distances + (r << 3))), rate);
    const near = f64x2.gt(l, lowest);
    // Farther rows would have exponents out of range; their weight is 0.
    const bounded = f64x2.pmax(lowest, l);
    if (!v128.any_true(near)) {
      store<i64>(weights + (r << 2), 0);
      continue;
    }
    const w = v128.and(exp2(bounded), near);
    zs = f64x2.add(zs, w);
    z2s = f64x2.add(z2s, f64x2.mul(w, w));
    as = f64x2.add(as, f64x2.mul(w, bounded));
    v128.store64_lane(weights + (r << 2), f32x4.demote_f64x2_zero(w), 0);
  }
  store<f64>(state, z + f64x2.extract_lane(zs, 0) + f64x2.extract_lane(zs, 1), 24);
  store<f64>(state, z2 + f64x2.extract_lane(z2s, 0) + f64x2.extract_lane(z2s, 1), 32);
  store<f64>(state, a + f64x2.extract_lane(as, 0) + f64x2.extract_lane(as, 1), 40);
  return true;
}

// @ts-ignore: decorator
@inline function add4(at: usize, v: v128): void {
  v128.store(at, f32x4.add(v128.load(at), v));
}

// Four numbers of the centre, which only floats have.
// @ts-ignore: decorator
@inline function centreOf<T>(centre: usize, c: usize): v128 {
  return isFloat<T>() ? v128.load(centre + (c << 2)) : f32x4.splat(0);
}

// @ts-ignore: decorator
@inline function less<T>(x: v128, centre: v128): v128 {
  return isFloat<T>() ? f32x4.sub(x, centre) : x;
}

// Lists the rows that any of 4 queries keeps: their numbers, and their weights side by side.
// A missing query has weight 0. Returns how many.
function listRows(weights: usize, ws: usize, many: usize, n: usize, numbers: usize, packed: usize): usize {
  let m: usize = 0;
  for (let r: usize = 0; r < n; r++) {
    const w = weights + (r << 2), to = packed + (m << 4);
    v128.store(to, i32x4.splat(0));
    for (let k: usize = 0; k < many; k++) store<f32>(to + (k << 2), load<f32>(w + k * ws));
    if (!v128.any_true(v128.load(to))) continue;
    store<u32>(numbers + (m << 2), <u32>r);
    m++;
  }
  return m;
}

// Moves the weights of a query to 16-bit integers, in units of 1/32767 of the largest, if none is above
// `evenness` times their mean: for each pair of rows two of them, at every fourth place from `pairs` on.
// Returns the unit, or 0 if the weights stay where they are.
function quantise(weights: usize, n: usize, evenness: f32, pairs: usize): f32 {
  let sums = f32x4.splat(0), most4 = sums;
  // The weights after the last row are 0 up to a multiple of 4.
  for (let r: usize = 0; r < n; r += 4) {
    const w = v128.load(weights + (r << 2));
    sums = f32x4.add(sums, w);
    most4 = f32x4.pmax(most4, w);
  }
  const sum = <f32>sum4(sums);
  const most = max(max(f32x4.extract_lane(most4, 0), f32x4.extract_lane(most4, 1)), max(f32x4.extract_lane(most4, 2), f32x4.extract_lane(most4, 3)));
  if (most * <f32>n > evenness * sum) return 0;
  // Adding 1.5 2^23 rounds to whole numbers and leaves them in the low bits.
  const factor = f32x4.splat(32767 / most), rounder = f32x4.splat(12582912), none = i32x4.splat(0);
  for (let r: usize = 0; r < n; r += 4) {
    const w = f32x4.add(f32x4.mul(v128.load(weights + (r << 2)), factor), rounder);
    const pair = v128.shuffle<i16>(w, w, 0, 2, 4, 6, 0, 2, 4, 6), at = pairs + (r << 3);
    v128.store32_lane(at, pair, 0);
    v128.store32_lane(at, pair, 1, 16);
    v128.store(weights + (r << 2), none);
  }
  return most / 32767;
}

// Y += weights x rows over `width` columns, for 4 queries and `m` listed rows. For f32 the centre is taken off the rows;
// bytes that were converted are u32.
function accumulate4<T>(rows: usize, centre: usize, tileBytes: usize, rowBytes: usize, m: usize, numbers: usize, packed: usize, y: usize, yb: usize, width: usize): void {
  const last = packed + (m << 4);
  for (let c: usize = 0; c < width; c += 8) {
    let a00 = f32x4.splat(0), a01 = a00, a10 = a00, a11 = a00;
    let a20 = a00, a21 = a00, a30 = a00, a31 = a00;
    const base = rows + (c >> 3) * tileBytes;
    const m0 = centreOf<T>(centre, c), m1 = centreOf<T>(centre, c + 4);
    for (let w = packed, i = numbers; w < last; w += 16, i += 4) {
      const at = base + load<u32>(i) * rowBytes;
      const x0 = less<T>(load4<T>(at), m0);
      const x1 = less<T>(load4<T>(at + 4 * sizeof<T>()), m1);
      const w0 = v128.load32_splat(w);
      a00 = madd(w0, x0, a00); a01 = madd(w0, x1, a01);
      const w1 = v128.load32_splat(w, 4);
      a10 = madd(w1, x0, a10); a11 = madd(w1, x1, a11);
      const w2 = v128.load32_splat(w, 8);
      a20 = madd(w2, x0, a20); a21 = madd(w2, x1, a21);
      const w3 = v128.load32_splat(w, 12);
      a30 = madd(w3, x0, a30); a31 = madd(w3, x1, a31);
    }
    let p = y + (c << 2);
    add4(p, a00); add4(p + 16, a01); p += yb;
    add4(p, a10); add4(p + 16, a11); p += yb;
    add4(p, a20); add4(p + 16, a21); p += yb;
    add4(p, a30); add4(p + 16, a31);
  }
}

// The same for query `k` of the 4 alone: the same order of additions per column.
function accumulate1<T>(rows: usize, centre: usize, tileBytes: usize, rowBytes: usize, m: usize, numbers: usize, packed: usize, k: usize, y: usize, width: usize): void {
  const last = packed + (m << 4);
  let c: usize = 0;
  for (; c + 16 <= width; c += 16) {
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    const base = rows + (c >> 3) * tileBytes;
    const m0 = centreOf<T>(centre, c), m1 = centreOf<T>(centre, c + 4);
    const m2 = centreOf<T>(centre, c + 8), m3 = centreOf<T>(centre, c + 12);
    for (let w = packed, i = numbers; w < last; w += 16, i += 4) {
      const at = base + load<u32>(i) * rowBytes;
      const v = v128.load32_splat(w + (k << 2));
      if (sizeof<T>() == 1) {
        const low = v128.load8x8_s(at), high = v128.load8x8_s(at + tileBytes);
        a0 = madd(v, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), a0);
        a1 = madd(v, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), a1);
        a2 = madd(v, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), a2);
        a3 = madd(v, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), a3);
      } else {
        a0 = madd(v, less<T>(v128.load(at), m0), a0);
        a1 = madd(v, less<T>(v128.load(at, 16), m1), a1);
        a2 = madd(v, less<T>(v128.load(at + tileBytes), m2), a2);
        a3 = madd(v, less<T>(v128.load(at + tileBytes, 16), m3), a3);
      }
    }
    const p = y + (c << 2);
    add4(p, a0); add4(p + 16, a1); add4(p + 32, a2); add4(p + 48, a3);
  }
  if (c < width) {
    let a0 = f32x4.splat(0), a1 = a0;
    const base = rows + (c >> 3) * tileBytes;
    const m0 = centreOf<T>(centre, c), m1 = centreOf<T>(centre, c + 4);
    for (let w = packed, i = numbers; w < last; w += 16, i += 4) {
      const at = base + load<u32>(i) * rowBytes;
      const v = v128.load32_splat(w + (k << 2));
      a0 = madd(v, less<T>(load4<T>(at), m0), a0);
      a1 = madd(v, less<T>(load4<T>(at + 4 * sizeof<T>()), m1), a1);
    }
    add4(y + (c << 2), a0); add4(y + (c << 2) + 16, a1);
  }
}

// Interleaves columns of two rows as 16-bit integers: for each 8 columns c, (row r, c), (row r+1, c), ...
// @ts-ignore: decorator
@inline function interleave(row: usize, row1: usize, out: usize): void {
  const a = v128.load8x8_s(row), b = v128.load8x8_s(row1);
  v128.store(out, v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  v128.store(out, v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 16);
}

// Interleaves the pairs of rows of a block, tile by tile: for each 8 columns the pairs one after the other,
// so that a weighted sum walks through memory in order.
function interleaveBlock(block: usize, rowBytes: usize, n: usize, width: usize, out: usize): void {
  for (let c: usize = 0; c < width; c += 8) {
    for (let r: usize = 0; r < n; r += 2, out += 32) {
      // An odd last row is its own partner, whose weight is 0.
      interleave(block + r * rowBytes + c, block + min(r + 1, n - 1) * rowBytes + c, out);
    }
  }
}

// Converts columns of the rows that any query keeps to float32, tile by tile likewise.
function convertBlock(block: usize, rowBytes: usize, n: usize, kept: usize, width: usize, out: usize): void {
  for (let c: usize = 0; c < width; c += 8) {
    for (let r: usize = 0; r < n; r++, out += 32) {
      if (!load<u8>(kept + r)) continue;
      const x = v128.load8x8_s(block + r * rowBytes + c);
      v128.store(out, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(x)));
      v128.store(out, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(x)), 16);
    }
  }
}

// Adds the listed rows of one group to its sums.
// @ts-ignore: decorator
@inline function accumulate<T>(rows: usize, centre: usize, tileBytes: usize, rowBytes: usize, rowList: usize, ws: usize, many: usize, y: usize, yb: usize, width: usize): void {
  const m: usize = load<u32>(rowList), numbers = rowList + 32, w = numbers + ws;
  if (m == 0) return;
  if (many == 4) {
    accumulate4<T>(rows, centre, tileBytes, rowBytes, m, numbers, w, y, yb, width);
  } else {
    for (let k: usize = 0; k < many; k++) accumulate1<T>(rows, centre, tileBytes, rowBytes, m, numbers, w, k, y + k * yb, width);
  }
}

// @ts-ignore: decorator
@inline function addScaled(at: usize, integers: v128, unit: f32): void {
  add4(at, f32x4.mul(f32x4.convert_i32x4_s(integers), f32x4.splat(unit)));
}

// Y += units * (integer weights x rows) over `width` columns, for 4 queries and an even number of pairs of rows; exact
// but for the last step. A query without integer weights has unit 0 and is left alone.
function accumulatePairs4(tiles: usize, tileBytes: usize, pairs: usize, pairsEnd: usize, units: usize, y: usize, yb: usize, width: usize): void {
  const u0 = load<f32>(units), u1 = load<f32>(units, 4), u2 = load<f32>(units, 8), u3 = load<f32>(units, 12);
  for (let c: usize = 0; c < width; c += 8, tiles += tileBytes) {
    let a00 = i32x4.splat(0), a01 = a00, a10 = a00, a11 = a00;
    let a20 = a00, a21 = a00, a30 = a00, a31 = a00;
    for (let w = pairs, at = tiles; w < pairsEnd; w += 32, at += 64) {
      const x0 = v128.load(at), x1 = v128.load(at, 16);
      const w0 = v128.load32_splat(w);
      a00 = i32x4.add(a00, i32x4.dot_i16x8_s(w0, x0));
      a01 = i32x4.add(a01, i32x4.dot_i16x8_s(w0, x1));
      const w1 = v128.load32_splat(w, 4);
      a10 = i32x4.add(a10, i32x4.dot_i16x8_s(w1, x0));
      a11 = i32x4.add(a11, i32x4.dot_i16x8_s(w1, x1));
      const w2 = v128.load32_splat(w, 8);
      a20 = i32x4.add(a20, i32x4.dot_i16x8_s(w2, x0));
      a21 = i32x4.add(a21, i32x4.dot_i16x8_s(w2, x1));
      const w3 = v128.load32_splat(w, 12);
      a30 = i32x4.add(a30, i32x4.dot_i16x8_s(w3, x0));
      a31 = i32x4.add(a31, i32x4.dot_i16x8_s(w3, x1));
      const x2 = v128.load(at, 32), x3 = v128.load(at, 48);
      const w4 = v128.load32_splat(w, 16);
      a00 = i32x4.add(a00, i32x4.dot_i16x8_s(w4, x2));
      a01 = i32x4.add(a01, i32x4.dot_i16x8_s(w4, x3));
      const w5 = v128.load32_splat(w, 20);
      a10 = i32x4.add(a10, i32x4.dot_i16x8_s(w5, x2));
      a11 = i32x4.add(a11, i32x4.dot_i16x8_s(w5, x3));
      const w6 = v128.load32_splat(w, 24);
      a20 = i32x4.add(a20, i32x4.dot_i16x8_s(w6, x2));
      a21 = i32x4.add(a21, i32x4.dot_i16x8_s(w6, x3));
      const w7 = v128.load32_splat(w, 28);
      a30 = i32x4.add(a30, i32x4.dot_i16x8_s(w7, x2));
      a31 = i32x4.add(a31, i32x4.dot_i16x8_s(w7, x3));
    }
    let p = y + (c << 2);
    if (u0 != 0) { addScaled(p, a00, u0); addScaled(p + 16, a01, u0); }
    p += yb;
    if (u1 != 0) { addScaled(p, a10, u1); addScaled(p + 16, a11, u1); }
    p += yb;
    if (u2 != 0) { addScaled(p, a20, u2); addScaled(p + 16, a21, u2); }
    p += yb;
    if (u3 != 0) { addScaled(p, a30, u3); addScaled(p + 16, a31, u3); }
  }
}

// The same for a single query, which interleaves the rows itself.
function accumulatePairs1(block: usize, rowBytes: usize, n: usize, pairs: usize, unit: f32, y: usize, width: usize): void {
  const last = block + (n - 1) * rowBytes, end = block + n * rowBytes;
  let c: usize = 0;
  for (; c + 16 <= width; c += 16) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    for (let w = pairs, row = block; row < end; w += 16, row += 2 * rowBytes) {
      const pair = v128.load32_splat(w);
      const a = v128.load(row + c), b = v128.load(min(row + rowBytes, last) + c);
      const low = v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const high = v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pair, i16x8.extend_low_i8x16_s(low)));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pair, i16x8.extend_high_i8x16_s(low)));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(pair, i16x8.extend_low_i8x16_s(high)));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(pair, i16x8.extend_high_i8x16_s(high)));
    }
    const p = y + (c << 2);
    addScaled(p, a0, unit); addScaled(p + 16, a1, unit); addScaled(p + 32, a2, unit); addScaled(p + 48, a3, unit);
  }
  if (c < width) {
    let a0 = i32x4.splat(0), a1 = a0;
    for (let w = pairs, row = block; row < end; w += 16, row += 2 * rowBytes) {
      const a = v128.load8x8_s(row + c), b = v128.load8x8_s(min(row + rowBytes, last) + c);
      const pair = v128.load32_splat(w);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pair, v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11)));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pair, v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15)));
    }
    addScaled(y + (c << 2), a0, unit); addScaled(y + (c << 2) + 16, a1, unit);
  }
}

// Scans the rows of one shard for a batch of queries.
//   bytes      1 if the rows are signed bytes, 0 if float32
//   rowBytes   from one row to the next
//   stride     numbers per row and query, a multiple of 8, the padding being 0 in both
//   norms      for all but direct differences: the squared norm of each row less the centre, float64, and a 0 after the last
//   queries    for bytes: `batch` rows of first digits, then as many of second digits, int16; else `batch` rows of float32,
//              then as many of these less the centre
//   parameters per query 8 float64
//   state      out: per query 8 float64
//   y          out: per query `stride` float32
//   scratch    see #layOut in store.ts
//   stop       an int32 that another thread may set to 1 to end the scan early
//   draws      M, vectors that tilt each query; 1 without tilts
//   tilts      per query the address of its products, M times one float32 for each row of all; 0 without tilts
//   pitch      bytes from the products of one vector to those of the next
//   products   for floats without tilts: 1 if distances come from products, 0 if from direct differences
//   centre     for floats: `stride` float32
// With tilts, state and y are of M * `batch` queries: all of the first vector, then all of the second, ...
export function scan(bytes: i32, data: usize, rows: usize, firstRow: usize, blockRows: usize, rowBytes: usize, stride: usize, norms: usize, queries: usize, batch: usize, parameters: usize, state: usize, y: usize, scratch: usize, stop: usize, draws: usize, tilts: usize, pitch: usize, products: i32, centre: usize): void {
  const qb = bytes ? stride << 1 : stride << 2;
  const yb = stride << 2;
  // A multiple of 4 places per row of distances and weights, which are worked on in twos and fours.
  const places = (blockRows + 3) & ~3;
  const ds = places << 3, ws = places << 2;
  // Groups of 4 queries, and for each vector of a group a list.
  const groups = (batch + 3) >> 2, all = groups * draws;
  // The order of the scratch space: products of two rows; distances before and after the tilt, and weights of a group;
  // per list its rows, the units of its integer weights, and these; flags of kept rows; columns.
  const untilted = scratch + 64;
  const distances = untilted + 4 * ds;
  const weights = distances + 4 * ds;
  const lists = weights + 4 * ws;
  const list = 32 + ws + (places << 4), pairsAt = list + 32;
  const listBytes = pairsAt + (places << 3);
  const kept = lists + all * listBytes;
  const columns = (kept + blockRows + 15) & ~15;
  memory.fill(state, 0, batch * draws * STATE * 8);
  memory.fill(y, 0, batch * draws * yb);
  for (let v: usize = 0; v < batch * draws; v++) {
    store<f64>(state + v * STATE * 8, Infinity);
    store<f64>(state + v * STATE * 8, Infinity, 8);
  }
  const base = tilts ? untilted : distances;
  for (let from: usize = 0; from < rows; from += blockRows) {
    if (atomic.load<i32>(stop)) return;
    const n = min(blockRows, rows - from);
    const block = data + from * rowBytes;
    if (batch > 3) store<i32>(scratch, touch(block, n * rowBytes));
    let paired = false, busy = 0;
    memory.fill(kept, 0, n);
    for (let group: usize = 0; group < groups; group++) {
      const q = group << 2;
      const many = min<usize>(4, batch - q);
      const p = parameters + q * PARAMETERS * 8;
      if (bytes) blockDots(block, rowBytes, n, stride, queries + q * qb, many, base, ds);
      else if (tilts || products) floatProducts(block, rowBytes, n, stride, centre, queries + (batch + q) * qb, many, base, ds);
      else floatDistances(block, rowBytes, n, stride, queries + q * qb, many, base, ds);
      for (let m: usize = 0; m < draws; m++) {
        const v = m * batch + q;
        // A list: the number of its rows, then (from 32 on) their numbers and weights.
        const rowList = lists + (m * groups + group) * listBytes, pairs = rowList + pairsAt, units = rowList + list;
        store<u32>(rowList, 0);
        v128.store(units, i32x4.splat(0));
        const its = tilts + (q << 2), offset = m * pitch + ((firstRow + from) << 2);
        if (tilts) {
          if (!screenGroup(base, its, offset, distances, ds, many, n, norms + (from << 3), p, state + v * STATE * 8)) continue;
          if (!bytes) refineFloats(block, rowBytes, n, stride, queries + q * qb, many, p, its, offset, distances, ds);
        }
        if (bytes || products) {
          let rough = false;
          for (let k: usize = 0; k < many; k++) {
            if (!tilts) screen(distances + k * ds, n, norms + (from << 3), p + k * PARAMETERS * 8, state + (v + k) * STATE * 8);
            rough = rough || load<f64>(p + k * PARAMETERS * 8, 32) != 0;
          }
          if (rough) refine(block, rowBytes, n, stride, queries + (batch + q) * qb, many, p, distances, ds, scratch);
        }
        memory.fill(weights, 0, 4 * ws);
        let uneven = false;
        for (let k: usize = 0; k < many; k++) {
          if (!weigh(distances + k * ds, weights + k * ws, n, firstRow + from, p + k * PARAMETERS * 8, state + (v + k) * STATE * 8, y + (v + k) * yb, stride)) continue;
          const unit = bytes ? quantise(weights + k * ws, n, <f32>load<f64>(p + k * PARAMETERS * 8, 48), pairs + (k << 2)) : 0;
          store<f32>(units + (k << 2), unit);
          if (unit == 0) uneven = true;
          else paired = true;
        }
        if (!uneven) continue;
        const m4 = listRows(weights, ws, many, n, rowList + 32, rowList + 32 + ws);
        store<u32>(rowList, <u32>m4);
        for (let i: usize = 0; i < m4; i++) store<u8>(kept + load<u32>(rowList + 32 + (i << 2)), 1);
        busy += <i32>(m4 > 0);
      }
    }
    // Bytes are converted once for all lists, unless there is only one to use them.
    const shared = bytes && busy > 1;
    const step = shared ? BLOCK_COLUMNS : stride;
    for (let c: usize = 0; busy > 0 && c < stride; c += step) {
      const width = min(step, stride - c);
      if (shared) convertBlock(block + c, rowBytes, n, kept, width, columns);
      for (let l: usize = 0; l < all; l++) {
        const rowList = lists + l * listBytes;
        const q = (l % groups) << 2;
        const many = min<usize>(4, batch - q), to = y + (l / groups * batch + q) * yb + (c << 2);
        if (shared) accumulate<u32>(columns, 0, n << 5, 32, rowList, ws, many, to, yb, width);
        else if (bytes) accumulate<u8>(block, 0, 8, rowBytes, rowList, ws, many, to, yb, width);
        else accumulate<f32>(block, centre, 32, rowBytes, rowList, ws, many, to, yb, width);
      }
    }
    if (!paired) continue;
    if (batch == 1) {
      for (let m: usize = 0; m < draws; m++) {
        const units = lists + m * listBytes + list;
        if (load<f32>(units) != 0) accumulatePairs1(block, rowBytes, n, units + 32, load<f32>(units), y + m * yb, stride);
      }
      continue;
    }
    for (let c: usize = 0; c < stride; c += BLOCK_COLUMNS) {
      const width = min(BLOCK_COLUMNS, stride - c);
      interleaveBlock(block + c, rowBytes, n, width, columns);
      for (let l: usize = 0; l < all; l++) {
        const units = lists + l * listBytes + list, pairs = units + 32;
        if (!v128.any_true(v128.load(units))) continue;
        const to = y + (l / groups * batch + ((l % groups) << 2)) * yb + (c << 2);
        // Rows up to a multiple of 4 have integer weights, 0 after the last; what memory holds in their place does not count.
        accumulatePairs4(columns, ((n + 1) >> 1) << 5, pairs, pairs + ((n + 3) >> 2 << 5), units, to, yb, width);
      }
    }
  }
}

// The products of vectors with the rows of one shard, in stored units, for scan(). Arguments as there, and
//   outs       per vector the address of its products, float32, one for each row of all
//   scratch    64 * blockRows bytes
export function tilt(bytes: i32, data: usize, rows: usize, firstRow: usize, blockRows: usize, rowBytes: usize, stride: usize, norms: usize, queries: usize, batch: usize, parameters: usize, outs: usize, scratch: usize, stop: usize, centre: usize): void {
  const qb = bytes ? stride << 1 : stride << 2;
  const ds = ((blockRows + 3) & ~3) << 3, low = scratch + 4 * ds;
  for (let from: usize = 0; from < rows; from += blockRows) {
    if (atomic.load<i32>(stop)) return;
    const n = min(blockRows, rows - from);
    const block = data + from * rowBytes;
    for (let q: usize = 0; q < batch; q += 4) {
      const many = min<usize>(4, batch - q);
      if (bytes) {
        blockDots(block, rowBytes, n, stride, queries + q * qb, many, scratch, ds);
        blockDots(block, rowBytes, n, stride, queries + (batch + q) * qb, many, low, ds);
      } else floatProducts(block, rowBytes, n, stride, centre, queries + (batch + q) * qb, many, scratch, ds);
      for (let k: usize = 0; k < many; k++) {
        const p = parameters + (q + k) * PARAMETERS * 8;
        const s1 = load<f64>(p, 24), s2 = load<f64>(p, 32);
        const out = load<u32>(outs + ((q + k) << 2)) + ((firstRow + from) << 2);
        for (let r: usize = 0; r < n; r++) {
          const at = k * ds + (r << 3), first = load<f64>(scratch + at);
          store<f32>(out + (r << 2), <f32>(bytes ? s1 * first + s2 * load<f64>(low + at) : first));
        }
      }
    }
  }
}

// The squared norm of each row, float64; of floats less the centre.
export function squaredNorms(bytes: i32, data: usize, rows: usize, rowBytes: usize, stride: usize, out: usize, centre: usize): void {
  for (let r: usize = 0; r < rows; r++) {
    const row = data + r * rowBytes;
    store<f64>(out + (r << 3), bytes ? normBytes(row, stride) : normFloats(row, centre, stride));
  }
}

function normBytes(row: usize, stride: usize): f64 {
  let sum: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_NORM) {
    let s = i32x4.splat(0);
    for (let c = from; c < min(stride, from + BLOCK_NORM); c += 8) {
      const x = v128.load8x8_s(row + c);
      s = i32x4.add(s, i32x4.dot_i16x8_s(x, x));
    }
    sum += sum4i(s);
  }
  return sum;
}

function normFloats(row: usize, centre: usize, stride: usize): f64 {
  let s = f64x2.splat(0);
  for (let c: usize = 0; c < stride << 2; c += 8) {
    const x = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(row + c)), f64x2.promote_low_f32x4(v128.load64_zero(centre + c)));
    s = f64x2.add(s, f64x2.mul(x, x));
  }
  return f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
}

// The least and the greatest stored number of each coordinate over some rows, `stride` (a multiple of 8) of each.
export function ranges(bytes: i32, data: usize, rows: usize, rowBytes: usize, stride: usize, out: usize): void {
  const most = out + (stride << 2);
  for (let c: usize = 0; c < stride; c += 4) {
    v128.store(out + (c << 2), f32x4.splat(Infinity));
    v128.store(most + (c << 2), f32x4.splat(-Infinity));
  }
  for (let r: usize = 0; r < rows; r++) {
    const row = data + r * rowBytes;
    for (let c: usize = 0; c < stride; c += 4) {
      const x = bytes ? load4<i8>(row + c) : load4<f32>(row + (c << 2));
      v128.store(out + (c << 2), f32x4.pmin(v128.load(out + (c << 2)), x));
      v128.store(most + (c << 2), f32x4.pmax(v128.load(most + (c << 2)), x));
    }
  }
}

// ---- nearest rows ----

// Whether the pair at `at` comes after (d, index).
// @ts-ignore: decorator
@inline function after(at: usize, d: f64, index: f64): bool {
  return load<f64>(at) > d || (load<f64>(at) == d && load<f64>(at, 8) > index);
}

// Offers a pair to a heap of the `size` smallest pairs, the largest of them first.
function offer(heap: usize, size: usize, d: f64, index: f64): void {
  if (!after(heap, d, index)) return;
  let at: usize = 0;
  for (let child: usize = 1; child < size; child = 2 * at + 1) {
    let c = heap + (child << 4);
    if (child + 1 < size && after(c + 16, load<f64>(c), load<f64>(c, 8))) {
      child++;
      c += 16;
    }
    if (!after(c, d, index)) break;
    store<f64>(heap + (at << 4), load<f64>(c));
    store<f64>(heap + (at << 4), load<f64>(c, 8), 8);
    at = child;
  }
  store<f64>(heap + (at << 4), d);
  store<f64>(heap + (at << 4), index, 8);
}

// Offers the rows of one shard to the heaps of a batch of queries. Arguments as in scan(), and
//   size       places in each heap
//   heaps      per query `size` pairs (squared distance, row), float64; starts as (inf, inf)
//   scratch    64 + 32 * blockRows bytes
export function nearest(bytes: i32, data: usize, rows: usize, firstRow: usize, blockRows: usize, rowBytes: usize, stride: usize, norms: usize, queries: usize, batch: usize, parameters: usize, size: usize, heaps: usize, scratch: usize, stop: usize): void {
  const qb = bytes ? stride << 1 : stride << 2;
  const ds = ((blockRows + 3) & ~3) << 3;
  const distances = scratch + 64;
  for (let from: usize = 0; from < rows; from += blockRows) {
    if (atomic.load<i32>(stop)) return;
    const n = min(blockRows, rows - from);
    const block = data + from * rowBytes;
    if (batch > 3) store<i32>(scratch, touch(block, n * rowBytes));
    for (let q: usize = 0; q < batch; q += 4) {
      const many = min<usize>(4, batch - q);
      if (bytes) blockDots(block, rowBytes, n, stride, queries + q * qb, many, distances, ds);
      else floatDistances(block, rowBytes, n, stride, queries + q * qb, many, distances, ds);
      for (let k: usize = 0; k < many; k++) {
        const heap = heaps + ((q + k) * size << 4), at = distances + k * ds;
        if (bytes) offerProducts(at, n, norms + (from << 3), block, rowBytes, stride, queries + (batch + q + k) * qb, parameters + (q + k) * PARAMETERS * 8, heap, size, firstRow + from);
        else for (let r: usize = 0; r < n; r++) offer(heap, size, load<f64>(at + (r << 3)), <f64>(firstRow + from + r));
      }
    }
  }
}

// Offers rows by their products with the first digit of a query; only those that this digit cannot rule out get the second.
function offerProducts(products: usize, n: usize, norms: usize, block: usize, rowBytes: usize, stride: usize, low: usize, p: usize, heap: usize, size: usize, firstRow: usize): void {
  const square = f64x2.splat(load<f64>(p, 16)), minus2s = f64x2.splat(-2 * load<f64>(p, 24));
  const minus2s2 = -2 * load<f64>(p, 32), e = load<f64>(p, 40);
  let limit = f64x2.splat(load<f64>(heap) + e);
  padBlock(products, n, -Infinity);
  for (let r: usize = 0; r < n; r += 2) {
    const d = toDistances(products, r, norms, square, minus2s);
    const near = i64x2.bitmask(f64x2.le(d, limit));
    if (near == 0) continue;
    for (let i: usize = 0; i < 2; i++) {
      if (!(near >> <i32>i & 1)) continue;
      const rough = i ? f64x2.extract_lane(d, 1) : f64x2.extract_lane(d, 0);
      const fine = rough + minus2s2 * dot1(block + (r + i) * rowBytes, low, stride);
      offer(heap, size, fine, <f64>(firstRow + r + i));
    }
    limit = f64x2.splat(load<f64>(heap) + e);
  }
}

// Four numbers of a row in float64, two and two.
// @ts-ignore: decorator
@inline function lower64<T>(at: usize): v128 {
  if (sizeof<T>() == 1) return f64x2.convert_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at))));
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}

// @ts-ignore: decorator
@inline function addSquare(s: v128, query: usize, x: v128): v128 {
  const d = f64x2.sub(v128.load(query), x);
  return f64x2.add(s, f64x2.mul(d, d));
}

// The squared distance of a query in float64 to a row, by direct differences.
function distance64<T>(row: usize, query: usize, stride: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  const end = query + (stride << 3);
  for (let q = query; q < end; q += 64, row += 8 * sizeof<T>()) {
    s0 = addSquare(s0, q, lower64<T>(row));
    s1 = addSquare(s1, q + 16, lower64<T>(row + 2 * sizeof<T>()));
    s2 = addSquare(s2, q + 32, lower64<T>(row + 4 * sizeof<T>()));
    s3 = addSquare(s3, q + 48, lower64<T>(row + 6 * sizeof<T>()));
  }
  const s = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
  return f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
}

// Squared distances of one query to `size` listed rows, in float64.
export function measure(bytes: i32, data: usize, rowBytes: usize, stride: usize, query: usize, rows: usize, size: usize, out: usize): void {
  for (let i: usize = 0; i < size; i++) {
    const row = data + <usize>load<u32>(rows + (i << 2)) * rowBytes;
    store<f64>(out + (i << 3), bytes ? distance64<i8>(row, query, stride) : distance64<f32>(row, query, stride));
  }
}

// Where the module's own constants (the tables of exp) end: data may lie from here on.
export function heapBase(): usize {
  return __heap_base;
}
