// The posterior per pixel for CPUs, in AssemblyScript; `deno task wasm` compiles it.
//
// For each query x, image x_i and translation u, in stored units,
//   e(p) = g |x(p) - x_i(p + u)|^2  over channels,   d(p) = sum of e over the window of p,
//   w = exp(m(p) - d(p) + log-weight_i),   Z(p) = sum of w,   Y(p) = sum of w x_i(p + u),
// with g = scale^2 / 2 sigma^2, so that d is in nats. A query that is far from all data in some window is compared from the middle a of them,
//   e(p) = g (x_i - a) (x_i - a - 2 (x - a)),
// which lacks g |x - a|^2, the same for all images, and keeps their differences. This is a streaming softmax per pixel,
// whose states merge over shards. The reference m(p) is within a few nats of the least d(p) - log-weight_i so far; that it
// need not be the least itself saves most changes of it, each of which scales all sums of the pixel.
//
// Two images are worked on at a time. Squared differences are float32, four pixels in a register. They are summed in
// a summed-area table of float64, the two images in the two lanes, so that the sum over a window of any size is a
// difference of four entries. In float64 these differences lose nothing: at low noise an image differs from a query by
// 1e8 nats at most, of which 2^-53 is 1e-8. In float32 the table would be useless there, since a window may match in an
// image that is different elsewhere.
//
// Where all of four pixels by two images weigh less than exp(-cut), nothing more is done for them; the caller chooses the
// cut so that all such weights together are less than float32 rounding. Sums are float32 over at most a few dozen
// images, then float64.
//
// Rows of the table continue beyond their ends, so that a window that reaches out of the image needs no special case: by
// what is at the ends, or, where windows wrap, by the sums that belong there. Rows of pixels that a wrapping window
// takes from the other end come in as a corrected row of the table.
//
// Translations are a product of those along the two axes. An axis entry is four int32:
//   shift   pixel p of the query meets pixel p + shift of the image
//   from    the first pixel of the query that takes part in windows
//   to      one past the last
//   mask    address of what pixels compete for: a byte per row, or an int32 (0 or -1) per column and four 0 more
// Where windows wrap, an image holds each of its rows twice, so that translated rows are contiguous.
//
// The arithmetic of one query does not depend on the others.

// Float64 numbers in the parameters of one query:
// g, cut, reach of windows up, down, left, right, vertical axis and its length, horizontal axis and its length, address of the query,
// whether it is far. A query is its planes, or those of a and, behind them, those of 2 (x - a).
const PARAMETERS: usize = 16;
// Additions between two flushes of the float32 sums, about.
const FLUSH: i32 = 64;
// How many nats the least distance may be below the reference: weights are at most exp(SLACK).
const SLACK: f32 = 8;
// Further numbers behind each plane, which four at a time may touch.
const MARGIN: usize = 8;
// Further entries of a row of the table.
const SPARE: usize = 8;

// The geometry of the call.
let height: i32 = 0, width: i32 = 0, channels: i32 = 0;
let wraps: bool = false;
// Numbers per row of an image; bytes from one channel to the next, of an image and of a query.
let pitch: usize = 0, imagePlane: usize = 0, queryPlane: usize = 0;
// The thread's room: reference distances and sums since the last flush, the table, and one more row of it.
let accM: usize = 0, accZ: usize = 0, accY: usize = 0, table: usize = 0, corrected: usize = 0;
let tableRowBytes: usize = 0;
// The query in hand.
let query: usize = 0, rate: f32 = 0, cut: f32 = 0;
// Bytes from its points to its slopes, 0 if it is not far.
let slopes: usize = 0;
let up: i32 = 0, down: i32 = 0, left: i32 = 0, right: i32 = 0;
// The two images in hand, and their log-weights.
let imageA: usize = 0, imageB: usize = 0, logA: f32 = 0, logB: f32 = 0;

// @ts-ignore: decorator
@inline function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

// exp(-e) for e from -8 to 87 to about one rounding: exp(-e) = 2^-n exp(r) with r = n log 2 - e. The first part of log 2 has 9 bits.
// @ts-ignore: decorator
@inline function decay(e: v128): v128 {
  // Adding 1.5 * 2^23 rounds to a whole number, which is then in the last bits.
  const magic = f32x4.splat(12582912);
  const t = madd(e, f32x4.splat(1.44269504), magic);
  const n = f32x4.sub(t, magic);
  const r = madd(n, f32x4.splat(-2.12194440e-4), f32x4.sub(f32x4.mul(n, f32x4.splat(0.693359375)), e));
  let p = madd(r, f32x4.splat(1.0 / 5040), f32x4.splat(1.0 / 720));
  p = madd(p, r, f32x4.splat(1.0 / 120));
  p = madd(p, r, f32x4.splat(1.0 / 24));
  p = madd(p, r, f32x4.splat(1.0 / 6));
  p = madd(p, r, f32x4.splat(0.5));
  p = madd(p, r, f32x4.splat(1));
  p = madd(p, r, f32x4.splat(1));
  // 127 - n as the exponent of a float; the bits of `magic` drop out.
  return f32x4.mul(p, i32x4.shl(i32x4.sub(i32x4.splat(0x4b400000 + 127), t), 23));
}

function decay1(e: f64): f32 {
  return e < 87 ? f32x4.extract_lane(decay(f32x4.splat(<f32>e)), 0) : 0;
}

// ---- images ----

// One channel of four pixels of three bytes, as floats.
// @ts-ignore: decorator
@inline function spread(bytes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.shr_s(bytes, 24));
}

// Rows top..bottom, columns first..last of an image as planes of floats.
function convert(bytes: bool, row: usize, to: usize, top: i32, bottom: i32, first: i32, last: i32): void {
  for (let y = top; y < bottom; y++) {
    const from: usize = (y * width + first) * channels;
    const out = to + (<usize>y * pitch + first << 2);
    const count = last - first;
    if (bytes && channels == 3) {
      const zero = i32x4.splat(0);
      for (let x = 0; x < count; x += 4) {
        const v = v128.load(row + from + x * 3);
        const at = out + (x << 2);
        v128.store(at, spread(v128.shuffle<i8>(zero, v, 0, 0, 0, 16, 0, 0, 0, 19, 0, 0, 0, 22, 0, 0, 0, 25)));
        v128.store(at + imagePlane, spread(v128.shuffle<i8>(zero, v, 0, 0, 0, 17, 0, 0, 0, 20, 0, 0, 0, 23, 0, 0, 0, 26)));
        v128.store(at + 2 * imagePlane, spread(v128.shuffle<i8>(zero, v, 0, 0, 0, 18, 0, 0, 0, 21, 0, 0, 0, 24, 0, 0, 0, 27)));
      }
    } else if (bytes && channels == 1) {
      for (let x = 0; x < count; x += 4) {
        v128.store(out + (x << 2), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(row + from + x)))));
      }
    } else {
      for (let x = 0, at = from; x < count; x++) {
        for (let c = 0; c < channels; c++, at++) {
          store<f32>(out + (x << 2) + c * imagePlane, bytes ? <f32>load<i8>(row + at) : load<f32>(row + (at << 2)));
        }
      }
    }
    if (wraps) {
      for (let c = 0; c < channels; c++) {
        const at = out + c * imagePlane;
        memory.copy(at + (width << 2), at, width << 2);
      }
    }
  }
}

// ---- sums over windows ----

// The squared differences of four pixels of one channel, added to `sum`.
// @ts-ignore: decorator
@inline function square(sum: v128, q: v128, image: usize): v128 {
  const difference = f32x4.sub(q, v128.load(image));
  return madd(difference, difference, sum);
}

// The same for a far query, whose slopes lie slopes bytes behind its points.
// @ts-ignore: decorator
@inline function farSquare(sum: v128, q: usize, image: usize): v128 {
  const edge = f32x4.sub(v128.load(image), v128.load(q));
  return madd(edge, f32x4.sub(edge, v128.load(q + slopes)), sum);
}

// @ts-ignore: decorator
@inline function addRow(run: v128, above: usize, out: usize): void {
  v128.store(out, f64x2.add(run, v128.load(above)));
}

// One row of the table: sums of squared differences over all pixels above and to the left, of both images.
function tableRow(q: usize, a: usize, b: usize, count: i32, above: usize, out: usize): void {
  const zero = f32x4.splat(0), g = f32x4.splat(rate);
  const offset: usize = out - above;
  let run = f64x2.splat(0);
  v128.store(out, run);
  const last = out + (count << 4);
  for (let t = out + 16; t <= last; t += 64, q += 16, a += 16, b += 16) {
    const q0 = v128.load(q);
    let sa = zero, sb = zero;
    if (slopes && channels == 3) {
      const a1 = a + imagePlane, b1 = b + imagePlane, q1 = q + queryPlane, q2 = q1 + queryPlane;
      sa = farSquare(farSquare(farSquare(sa, q, a), q1, a1), q2, a1 + imagePlane);
      sb = farSquare(farSquare(farSquare(sb, q, b), q1, b1), q2, b1 + imagePlane);
    } else if (slopes) {
      for (let c: usize = 0; c < <usize>channels; c++) {
        sa = farSquare(sa, q + c * queryPlane, a + c * imagePlane);
        sb = farSquare(sb, q + c * queryPlane, b + c * imagePlane);
      }
    } else if (channels == 3) {
      sa = square(sa, q0, a); sb = square(sb, q0, b);
      const q1 = v128.load(q + queryPlane), a1 = a + imagePlane, b1 = b + imagePlane;
      sa = square(sa, q1, a1); sb = square(sb, q1, b1);
      const q2 = v128.load(q + 2 * queryPlane);
      sa = square(sa, q2, a1 + imagePlane); sb = square(sb, q2, b1 + imagePlane);
    } else {
      sa = square(sa, q0, a); sb = square(sb, q0, b);
      for (let c: usize = 1; c < <usize>channels; c++) {
        const qc = v128.load(q + c * queryPlane);
        sa = square(sa, qc, a + c * imagePlane); sb = square(sb, qc, b + c * imagePlane);
      }
    }
    sa = f32x4.mul(sa, g);
    sb = f32x4.mul(sb, g);
    const low = v128.shuffle<i32>(sa, sb, 0, 4, 1, 5), high = v128.shuffle<i32>(sa, sb, 2, 6, 3, 7);
    const u = t - offset;
    run = f64x2.add(run, f64x2.promote_low_f32x4(low));
    addRow(run, u, t);
    run = f64x2.add(run, f64x2.promote_low_f32x4(v128.shuffle<i64>(low, low, 1, 0)));
    addRow(run, u + 16, t + 16);
    run = f64x2.add(run, f64x2.promote_low_f32x4(high));
    addRow(run, u + 32, t + 32);
    run = f64x2.add(run, f64x2.promote_low_f32x4(v128.shuffle<i64>(high, high, 1, 0)));
    addRow(run, u + 48, t + 48);
  }
  const total = v128.load(last);
  if (wraps) {
    for (let k = 16; k <= left << 4; k += 16) v128.store(out - k, f64x2.sub(v128.load(last - k), total));
    for (let k = 16; k <= right << 4; k += 16) v128.store(last + k, f64x2.add(v128.load(out + k), total));
  } else {
    for (let k = 16; k < right << 4; k += 16) v128.store(last + k, total);
  }
}

// A row of the table plus the sums over all rows of pixels.
function correct(row: usize, all: usize, count: i32): void {
  for (let x = -left << 4; x <= count + right << 4; x += 16) {
    v128.store(corrected + x, f64x2.add(v128.load(row + x), v128.load(all + x)));
  }
}

// ---- weights ----

// By how much the distances of two images exceed the reference, of one pixel.
// @ts-ignore: decorator
@inline function excess(top: usize, bottom: usize, span: usize, m: usize): v128 {
  const d = f64x2.sub(
    f64x2.sub(v128.load(bottom + span), v128.load(top + span)),
    f64x2.sub(v128.load(bottom), v128.load(top)),
  );
  return f32x4.demote_f64x2_zero(f64x2.sub(d, v128.load64_splat(m)));
}

// One image's lane of the sum over a window.
// @ts-ignore: decorator
@inline function distance(top: usize, bottom: usize, span: usize): f64 {
  return (load<f64>(bottom + span) - load<f64>(top + span)) - (load<f64>(bottom) - load<f64>(top));
}

// Lowers the reference distances of four pixels to the least, and scales their sums down.
function lower(top: usize, bottom: usize, span: usize, mask: usize, p: usize): void {
  for (let j: usize = 0; j < 4; j++, top += 16, bottom += 16, p++) {
    if (load<i32>(mask + (j << 2)) == 0) continue;
    const dA = distance(top, bottom, span) - logA;
    const dB = distance(top + 8, bottom + 8, span) - logB;
    const least = dB < dA ? dB : dA;
    const m = load<f64>(accM + (p << 3));
    if (!(least < m)) continue;
    store<f64>(accM + (p << 3), least);
    const factor = decay1(m - least);
    let at = accZ + (p << 2);
    store<f32>(at, load<f32>(at) * factor);
    at = accY + (p << 2);
    for (let c = 0; c < channels; c++, at += queryPlane) store<f32>(at, load<f32>(at) * factor);
  }
}

// Weighs a row of pixels of both images: `top` and `bottom` are the entries of the table at the corners of the first
// pixel's window, `span` is its width.
function weighRow(a: usize, b: usize, top: usize, bottom: usize, span: usize, mask: usize, p: usize, count: i32): void {
  const logsA = f32x4.splat(logA), logsB = f32x4.splat(logB);
  const planes: usize = channels, toPlane = queryPlane, fromPlane = imagePlane;
  let m = accM + (p << 3), z = accZ + (p << 2), sums = accY + (p << 2);
  const zero = f32x4.splat(0), most = f32x4.splat(cut), fewest = f32x4.splat(-SLACK);
  const last = mask + (count << 2);
  for (; mask < last; mask += 16, p += 4, m += 32, z += 16, sums += 16, a += 16, b += 16, top += 64, bottom += 64) {
    const inside = v128.load(mask);
    if (!v128.any_true(inside)) continue;
    let eA = zero, eB = zero;
    for (let attempt = 0; attempt < 2; attempt++) {
      const e0 = excess(top, bottom, span, m), e1 = excess(top + 16, bottom + 16, span, m + 8);
      const e2 = excess(top + 32, bottom + 32, span, m + 16), e3 = excess(top + 48, bottom + 48, span, m + 24);
      const low = v128.shuffle<i64>(e0, e1, 0, 2), high = v128.shuffle<i64>(e2, e3, 0, 2);
      eA = f32x4.sub(v128.shuffle<i32>(low, high, 0, 2, 4, 6), logsA);
      eB = f32x4.sub(v128.shuffle<i32>(low, high, 1, 3, 5, 7), logsB);
      const below = v128.and(inside, v128.or(f32x4.lt(eA, fewest), f32x4.lt(eB, fewest)));
      if (!v128.any_true(below)) break;
      lower(top, bottom, span, mask, p);
    }
    const keptA = v128.and(inside, f32x4.le(eA, most)), keptB = v128.and(inside, f32x4.le(eB, most));
    if (!v128.any_true(v128.or(keptA, keptB))) continue;
    const wA = v128.and(decay(eA), keptA), wB = v128.and(decay(eB), keptB);
    v128.store(z, f32x4.add(v128.load(z), f32x4.add(wA, wB)));
    let y = sums, fromA = a, fromB = b;
    for (let c: usize = 0; c < planes; c++, y += toPlane, fromA += fromPlane, fromB += fromPlane) {
      v128.store(y, madd(wA, v128.load(fromA), madd(wB, v128.load(fromB), v128.load(y))));
    }
  }
}

// Meets the query with both images under one translation.
function meet(rows: usize, columns: usize): void {
  const dy = load<i32>(rows), top = load<i32>(rows, 4), bottom = load<i32>(rows, 8), rowMask: usize = load<i32>(rows, 12);
  const dx = load<i32>(columns), first = load<i32>(columns, 4), last = load<i32>(columns, 8);
  const mask: usize = <usize>load<i32>(columns, 12) + (first << 2);
  const count = last - first, span: usize = left + right << 4;
  const before: usize = left << 4;
  memory.fill(table + top * tableRowBytes - before, 0, left + count + right + 4 << 4);
  let built = top;
  for (let y = top; y < bottom; y++) {
    if (!load<u8>(rowMask + y)) continue;
    let from = y - up, to = y + down, all = false;
    let need = bottom;
    if (wraps) {
      all = from < 0 || to > height;
      if (from < 0) from += height;
      else if (to > height) to -= height;
    } else {
      from = max(from, top);
      need = to = min(to, bottom);
    }
    for (; built < need; built++) {
      let v = built + dy;
      if (wraps && v >= height) v -= height;
      const in1 = <usize>v * pitch + first + dx << 2;
      // The first entries of rows that do not wrap are 0.
      const out = table + (built + 1) * tableRowBytes;
      if (!wraps) memory.fill(out - before, 0, before);
      tableRow(query + (built * width + first << 2), imageA + in1, imageB + in1, count, out - tableRowBytes, out);
    }
    let low = table + to * tableRowBytes;
    if (all) {
      correct(low, table + height * tableRowBytes, count);
      low = corrected;
    }
    let v = y + dy;
    if (wraps && v >= height) v -= height;
    const in2 = <usize>v * pitch + first + dx << 2;
    weighRow(imageA + in2, imageB + in2, table + from * tableRowBytes - before, low - before, span, mask, y * width + first, count);
  }
}

// Adds the float32 sums to the float64 sums of a query, and begins them anew.
function flush(m: usize, pixels: usize): void {
  const z = m + (pixels << 3), y = z + (pixels << 3);
  for (let p: usize = 0; p < pixels; p++) {
    const least = load<f64>(accM + (p << 3)), before = load<f64>(m + (p << 3));
    const fresh = load<f32>(accZ + (p << 2));
    if (fresh == 0) continue;
    store<f32>(accZ + (p << 2), 0);
    const factor: f64 = least < before ? decay1(before - least) : 1;
    store<f64>(m + (p << 3), least);
    store<f64>(z + (p << 3), load<f64>(z + (p << 3)) * factor + fresh);
    for (let c = 0; c < channels; c++) {
      const to = y + (c * pixels + p << 3), from = accY + c * queryPlane + (p << 2);
      store<f64>(to, load<f64>(to) * factor + load<f32>(from));
      store<f32>(from, 0);
    }
  }
}

// Meets a batch of queries with the images of one shard.
//   geometry   11 int32: height, width, channels, whether windows wrap, whether images are bytes, bytes per image,
//              the rectangle of images that is needed (top, bottom, first column, one past the last), images per block (even)
//   data       the first image
//   list       int32 numbers of the images, or 0 if they are first .. first + count - 1
//   logs       their log-weights, float64, or 0
//   first      the first image of the shard, among those listed
//   count      how many
//   parameters per query 16 float64
//   states     out: per query, per pixel, float64: m, then Z, then Y channel by channel
//   scratch    see roomPerThread in windowed.ts
//   stop       an int32 that another thread may set to 1 to end the scan early
export function scan(geometry: usize, data: usize, list: usize, logs: usize, first: usize, count: usize, parameters: usize, batch: usize, states: usize, scratch: usize, stop: usize): void {
  height = load<i32>(geometry);
  width = load<i32>(geometry, 4);
  channels = load<i32>(geometry, 8);
  wraps = load<i32>(geometry, 12) != 0;
  const bytes = load<i32>(geometry, 16) != 0;
  const rowBytes: usize = load<i32>(geometry, 20);
  const top = load<i32>(geometry, 24), bottom = load<i32>(geometry, 28), leftmost = load<i32>(geometry, 32), rightmost = load<i32>(geometry, 36);
  const block: usize = load<i32>(geometry, 40);
  const pixels: usize = height * width;
  pitch = wraps ? width << 1 : width;
  imagePlane = height * pitch + MARGIN << 2;
  queryPlane = pixels + MARGIN << 2;
  tableRowBytes = 3 * width + SPARE << 4;
  accM = scratch;
  accZ = accM + (pixels + MARGIN << 3);
  accY = accZ + queryPlane;
  // Entry 0 of a row is a width behind its beginning.
  table = accY + channels * queryPlane + (width << 4);
  corrected = table + (height + 1) * tableRowBytes;
  const planes = corrected + tableRowBytes;
  const imageBytes = channels * imagePlane;
  const stateBytes = pixels * (2 + channels) << 3;
  for (let q: usize = 0; q < batch; q++) {
    const m = states + q * stateBytes;
    memory.fill(m, 0, stateBytes);
    for (let p: usize = 0; p < pixels; p++) store<f64>(m + (p << 3), Infinity);
  }
  memory.fill(accZ, 0, queryPlane * (1 + channels));
  for (let from: usize = 0; from < count; from += block) {
    const n = min(block, count - from);
    for (let i: usize = 0; i < n; i++) {
      const at = first + from + i;
      const row: usize = list ? load<i32>(list + (at << 2)) : at;
      convert(bytes, data + row * rowBytes, planes + i * imageBytes, top, bottom, leftmost, rightmost);
    }
    for (let q: usize = 0; q < batch; q++) {
      const p = parameters + q * PARAMETERS * 8;
      const m = states + q * stateBytes;
      rate = <f32>load<f64>(p);
      cut = <f32>load<f64>(p, 8);
      up = <i32>load<f64>(p, 16);
      down = <i32>load<f64>(p, 24);
      left = <i32>load<f64>(p, 32);
      right = <i32>load<f64>(p, 40);
      const rows = <usize>load<f64>(p, 48), rowCount = <i32>load<f64>(p, 56);
      const columns = <usize>load<f64>(p, 64), columnCount = <i32>load<f64>(p, 72);
      query = <usize>load<f64>(p, 80);
      slopes = load<f64>(p, 88) ? channels * queryPlane : 0;
      memory.copy(accM, m, pixels << 3);
      let added = 0;
      for (let i: usize = 0; i < n; i += 2) {
        const at = first + from + i;
        imageA = planes + i * imageBytes;
        logA = logs ? <f32>load<f64>(logs + (at << 3)) : 0;
        // A last image without a partner meets itself, with no weight.
        const two = i + 1 < n;
        imageB = two ? imageA + imageBytes : imageA;
        logB = !two ? -Infinity : logs ? <f32>load<f64>(logs + (at << 3), 8) : 0;
        for (let r = 0; r < rowCount; r++) {
          if (atomic.load<i32>(stop)) return;
          for (let c = 0; c < columnCount; c++) meet(rows + (r << 4), columns + (c << 4));
          added += 2 * columnCount;
          if (added < FLUSH) continue;
          flush(m, pixels);
          added = 0;
        }
      }
      if (added) flush(m, pixels);
    }
  }
}

// Where the module's own constants end: data may lie from here on.
export function heapBase(): usize {
  return __heap_base;
}
