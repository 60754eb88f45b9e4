// Dense float64 linear algebra: sums of products of columns, products of matrices, and the two stages of
// an eigen-decomposition that move much memory. Compiled by `deno task wasm`.
//
// Matrices to be multiplied are cut into panels of 4 columns, a panel being `depth` quadruples one after
// the other, so that the inner loop walks through memory in order. A product is made of tiles of 4 rows
// (one panel of the left factor) and 4 columns (one of the right), which stay in registers. Left
// panels are taken a few at a time, so that they stay in the L2 cache while the right ones pass by.
//
// Bytes are centred and multiplied as 16-bit integers, two rows at a time: a panel is then `pairs`
// groups of 8 numbers (row 2r, row 2r+1) of 4 columns. Centred bytes are below 256, products below 2^16, so sums of
// at most 2^15 rows fit 32 bits: a call takes no more rows, and adds its exact sums to float64.

// Depth of what is multiplied at a time: 4 numbers of so many rows are 8 KiB.
const BLOCK_DEPTH: usize = 256;

// @ts-ignore: decorator
@inline function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f64x2.relaxed_madd(a, b, c) : f64x2.add(f64x2.mul(a, b), c);
}

// @ts-ignore: decorator
@inline function nmadd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f64x2.relaxed_nmadd(a, b, c) : f64x2.sub(c, f64x2.mul(a, b));
}

// @ts-ignore: decorator
@inline function sum2(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

// @ts-ignore: decorator
@inline function add2(at: usize, v: v128): void {
  v128.store(at, f64x2.add(v128.load(at), v));
}

// ---- sums of products of bytes ----

// Centres panels `first` to `first + count` of byte rows, pair by pair. An odd last row has a partner of zeros.
// Columns beyond `dimension` hold what comes to hand: no result is made of them.
export function packBytes(first: usize, count: usize, data: usize, rows: usize, dimension: usize, centre: usize, panels: usize): void {
  const pairs = (rows + 1) >> 1;
  for (let p = first; p < first + count; p++) {
    const c = v128.load64_zero(centre + (p << 3));
    let row = data + (p << 2), out = panels + p * (pairs << 4);
    for (let r: usize = 0; r < rows; r += 2, row += 2 * dimension, out += 16) {
      const x = i16x8.sub(i16x8.extend_low_i8x16_u(v128.load32_zero(row)), c);
      const y = r + 1 < rows ? i16x8.sub(i16x8.extend_low_i8x16_u(v128.load32_zero(row + dimension)), c) : i16x8.splat(0);
      v128.store(out, v128.shuffle<i16>(x, y, 0, 8, 1, 9, 2, 10, 3, 11));
    }
  }
}

// @ts-ignore: decorator
@inline function addIntegers(at: usize, v: v128): void {
  add2(at, f64x2.convert_low_i32x4_s(v));
  add2(at + 16, f64x2.convert_low_i32x4_s(v128.shuffle<i64>(v, v, 1, 0)));
}

// Adds the products of 4 columns (panel a) with 8 (panel b and the one after it).
function byteTile(a: usize, b: usize, panelBytes: usize, out: usize, rowBytes: usize): void {
  let s00 = i32x4.splat(0), s01 = s00, s10 = s00, s11 = s00;
  let s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  let b1 = b + panelBytes;
  for (const end = a + panelBytes; a < end; a += 16, b += 16, b1 += 16) {
    const x0 = v128.load(b), x1 = v128.load(b1);
    const w0 = v128.load32_splat(a);
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(w0, x0));
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(w0, x1));
    const w1 = v128.load32_splat(a, 4);
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(w1, x0));
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(w1, x1));
    const w2 = v128.load32_splat(a, 8);
    s20 = i32x4.add(s20, i32x4.dot_i16x8_s(w2, x0));
    s21 = i32x4.add(s21, i32x4.dot_i16x8_s(w2, x1));
    const w3 = v128.load32_splat(a, 12);
    s30 = i32x4.add(s30, i32x4.dot_i16x8_s(w3, x0));
    s31 = i32x4.add(s31, i32x4.dot_i16x8_s(w3, x1));
  }
  addIntegers(out, s00); addIntegers(out + 32, s01); out += rowBytes;
  addIntegers(out, s10); addIntegers(out + 32, s11); out += rowBytes;
  addIntegers(out, s20); addIntegers(out + 32, s21); out += rowBytes;
  addIntegers(out, s30); addIntegers(out + 32, s31);
}

// Adds the products of columns of panels `first` to `first + count` with those of their own and later panels.
export function byteProducts(first: usize, count: usize, panels: usize, many: usize, pairs: usize, out: usize, rowBytes: usize, stop: usize): void {
  const panelBytes = pairs << 4;
  for (let j = first & ~1; j < many; j += 2) {
    if (atomic.load<i32>(stop)) return;
    const last = min(first + count, j + 2);
    for (let i = first; i < last; i++) {
      byteTile(panels + i * panelBytes, panels + j * panelBytes, panelBytes, out + (i << 2) * rowBytes + (j << 5), rowBytes);
    }
  }
}

// ---- float64 products ----

// Centres panels `first` to `first + count` of float32 rows. Columns beyond `dimension` as in packBytes().
export function packFloats(first: usize, count: usize, data: usize, rows: usize, dimension: usize, centre: usize, panels: usize): void {
  const rowBytes = dimension << 2;
  for (let p = first; p < first + count; p++) {
    const c0 = v128.load(centre + (p << 5)), c1 = v128.load(centre + (p << 5), 16);
    let row = data + (p << 4), out = panels + p * (rows << 5);
    for (let r: usize = 0; r < rows; r++, row += rowBytes, out += 32) {
      const x = v128.load(row);
      v128.store(out, f64x2.sub(f64x2.promote_low_f32x4(x), c0));
      v128.store(out, f64x2.sub(f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)), c1), 16);
    }
  }
}

// Adds the product of a panel of 4 rows and one of 4 columns.
function tile(a: usize, b: usize, depth: usize, out: usize, rowBytes: usize): void {
  let s00 = f64x2.splat(0), s01 = s00, s10 = s00, s11 = s00;
  let s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  for (const end = a + (depth << 5); a < end; a += 32, b += 32) {
    const x0 = v128.load(b), x1 = v128.load(b, 16);
    const w0 = v128.load64_splat(a);
    s00 = madd(w0, x0, s00);
    s01 = madd(w0, x1, s01);
    const w1 = v128.load64_splat(a, 8);
    s10 = madd(w1, x0, s10);
    s11 = madd(w1, x1, s11);
    const w2 = v128.load64_splat(a, 16);
    s20 = madd(w2, x0, s20);
    s21 = madd(w2, x1, s21);
    const w3 = v128.load64_splat(a, 24);
    s30 = madd(w3, x0, s30);
    s31 = madd(w3, x1, s31);
  }
  add2(out, s00); add2(out + 16, s01); out += rowBytes;
  add2(out, s10); add2(out + 16, s11); out += rowBytes;
  add2(out, s20); add2(out + 16, s21); out += rowBytes;
  add2(out, s30); add2(out + 16, s31);
}

// Adds to rows 4 first to 4 (first + count) of a matrix the product of panels a (`aBytes` from one to the next) and `many` panels b.
//   symmetric  1 if only panels b from the number of the panel a on are wanted
export function products(first: usize, count: usize, a: usize, aBytes: usize, b: usize, bBytes: usize, many: usize, depth: usize, symmetric: i32, out: usize, rowBytes: usize, stop: usize): void {
  for (let k: usize = 0; k < depth; k += BLOCK_DEPTH) {
    const part = min(BLOCK_DEPTH, depth - k);
    for (let j = symmetric ? first : 0; j < many; j++) {
      if (atomic.load<i32>(stop)) return;
      const last = symmetric ? min(first + count, j + 1) : first + count;
      for (let i = first; i < last; i++) {
        tile(a + i * aBytes + (k << 5), b + j * bBytes + (k << 5), part, out + (i << 2) * rowBytes + (j << 5), rowBytes);
      }
    }
  }
}

// ---- Householder's reduction ----

// One step of the reduction, on rows 2 first to 2 (first + count) of the `size` leading ones: the update
//   A -= pu pwᵀ + pw puᵀ
// that the step before left, and this shard's part of y = A u, in one pass over the lower triangle. As only this is read,
// row r adds A(r,c) u(c) to y(r) and, for c < r, A(r,c) u(r) to y(c).
export function reduce(first: usize, count: usize, size: usize, a: usize, rowBytes: usize, pu: usize, pw: usize, u: usize, y: usize): void {
  const end = min(size, (first + count) << 1);
  memory.fill(y, 0, end << 3);
  for (let r = first << 1; r < end; r += 2) {
    const row0 = a + r * rowBytes, row1 = row0 + rowBytes;
    const single = r + 1 >= size;
    let sum0: f64 = 0, sum1: f64 = 0;
    const d = r << 3;
    const pu0 = load<f64>(pu + d), pw0 = load<f64>(pw + d), u0 = load<f64>(u + d);
    if (single) {
      for (let c: usize = 0; c < d; c += 8) {
        const x = load<f64>(row0 + c) - pu0 * load<f64>(pw + c) - pw0 * load<f64>(pu + c);
        store<f64>(row0 + c, x);
        sum0 += x * load<f64>(u + c);
        store<f64>(y + c, load<f64>(y + c) + x * u0);
      }
    } else {
      const pu1 = load<f64>(pu + d, 8), pw1 = load<f64>(pw + d, 8), u1 = load<f64>(u + d, 8);
      const vpu0 = f64x2.splat(pu0), vpw0 = f64x2.splat(pw0), vu0 = f64x2.splat(u0);
      const vpu1 = f64x2.splat(pu1), vpw1 = f64x2.splat(pw1), vu1 = f64x2.splat(u1);
      let s0 = f64x2.splat(0), s1 = s0;
      for (let c: usize = 0; c < d; c += 16) {
        const vw = v128.load(pw + c), vu = v128.load(pu + c), now = v128.load(u + c);
        const x0 = nmadd(vpw0, vu, nmadd(vpu0, vw, v128.load(row0 + c)));
        const x1 = nmadd(vpw1, vu, nmadd(vpu1, vw, v128.load(row1 + c)));
        v128.store(row0 + c, x0);
        v128.store(row1 + c, x1);
        s0 = madd(x0, now, s0);
        s1 = madd(x1, now, s1);
        v128.store(y + c, madd(x1, vu1, madd(x0, vu0, v128.load(y + c))));
      }
      sum0 = sum2(s0);
      sum1 = sum2(s1);
      const x = load<f64>(row1 + d) - pu1 * pw0 - pw1 * pu0;
      store<f64>(row1 + d, x);
      const z = load<f64>(row1 + d, 8) - 2 * pu1 * pw1;
      store<f64>(row1 + d, z, 8);
      sum0 += x * u1;
      store<f64>(y + d, sum1 + x * u0 + z * u1, 8);
    }
    const x = load<f64>(row0 + d) - 2 * pu0 * pw0;
    store<f64>(row0 + d, x);
    store<f64>(y + d, sum0 + x * u0);
  }
}

// Applies the reflections 1 to `many` - 1 to rows 4 first to 4 (first + count): v -= beta (u . v) u, where row i of
// `reflectors` begins with the i numbers of u, then at least one 0 if i is odd.
export function reflectRows(first: usize, count: usize, rows: usize, rowBytes: usize, reflectors: usize, scales: usize, many: usize, stop: usize): void {
  for (let q = first; q < first + count; q++) {
    if (atomic.load<i32>(stop)) return;
    const v0 = rows + (q << 2) * rowBytes, v1 = v0 + rowBytes, v2 = v1 + rowBytes, v3 = v2 + rowBytes;
    for (let i: usize = 1; i < many; i++) {
      const beta = load<f64>(scales + (i << 3));
      if (beta == 0) continue;
      const u = reflectors + i * rowBytes, end = (i + (i & 1)) << 3;
      let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
      for (let c: usize = 0; c < end; c += 16) {
        const x = v128.load(u + c);
        s0 = madd(x, v128.load(v0 + c), s0);
        s1 = madd(x, v128.load(v1 + c), s1);
        s2 = madd(x, v128.load(v2 + c), s2);
        s3 = madd(x, v128.load(v3 + c), s3);
      }
      s0 = f64x2.splat(beta * sum2(s0));
      s1 = f64x2.splat(beta * sum2(s1));
      s2 = f64x2.splat(beta * sum2(s2));
      s3 = f64x2.splat(beta * sum2(s3));
      for (let c: usize = 0; c < end; c += 16) {
        const x = v128.load(u + c);
        v128.store(v0 + c, nmadd(s0, x, v128.load(v0 + c)));
        v128.store(v1 + c, nmadd(s1, x, v128.load(v1 + c)));
        v128.store(v2 + c, nmadd(s2, x, v128.load(v2 + c)));
        v128.store(v3 + c, nmadd(s3, x, v128.load(v3 + c)));
      }
    }
  }
}

// Where the module's own constants end: data may lie from here on.
export function heapBase(): usize {
  return __heap_base;
}
