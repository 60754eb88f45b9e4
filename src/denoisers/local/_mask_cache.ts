/**
 * The masks of one spectrum, kept in memory and on disk.
 *
 * @module
 */
import { cacheFolder } from "../../base/_cache_folder.ts";
import { cacheKey, throughCache } from "../../base/_cache_file.ts";
import type { CacheFormat } from "../../base/_cache_file.ts";
import { emptyMask } from "../../compute/mask.ts";
import type { Mask } from "../../compute/mask.ts";
import { localityMask } from "./locality_mask.ts";
import type { MaskRule } from "./locality_mask.ts";
import type { Spectrum } from "../gaussian/spectrum.ts";

/** Masks of fewer coordinates take less than a second, and are not kept on disk. */
const LEAST_CACHED = 256;
/** Bytes of masks kept in memory, at most: those of a hundred noise levels of CIFAR-10. */
const MOST_BYTES = 2 ** 27;
const MAGIC = "CFMASK01";

/** The masks of one spectrum by one rule, at whatever noise levels are asked for. */
export class MaskCache {
  readonly #spectrum: Spectrum;
  readonly #rule: MaskRule;
  readonly #cache: string | boolean | undefined;
  readonly #masks = new Map<number, Mask>();
  #content?: Uint8Array;

  /**
   * @param spectrum The spectrum.
   * @param rule How masks are cut.
   * @param cache Where large masks are kept: a folder, false for nowhere, or by default in the usual one.
   */
  constructor(spectrum: Spectrum, rule: MaskRule, cache?: string | boolean) {
    this.#spectrum = spectrum;
    this.#rule = rule;
    this.#cache = cache;
  }

  /**
   * The mask of a noise level.
   *
   * @param sigma The noise level.
   * @param signal Cancels the work.
   */
  async of(sigma: number, signal?: AbortSignal): Promise<Mask> {
    const known = this.#masks.get(sigma);
    if (known) return known;
    const mask = await this.#throughDisk(sigma, signal);
    this.#masks.set(sigma, mask);
    const [oldest] = this.#masks.keys();
    if (this.#masks.size * mask.bits.byteLength > MOST_BYTES) this.#masks.delete(oldest);
    return mask;
  }

  async #throughDisk(sigma: number, signal?: AbortSignal): Promise<Mask> {
    const d = this.#spectrum.mean.length;
    const make = () => localityMask(this.#spectrum, sigma, this.#rule, { signal });
    if (d < LEAST_CACHED || this.#rule.theta === 0) return await make();
    const folder = await cacheFolder("make a mask", this.#cache);
    if (folder === undefined) return await make();
    const key = await this.#key(sigma);
    return await throughCache(folder, key, formatOf(d), make);
  }

  /** What a mask depends on: the spectrum, the rule and the noise level. */
  async #key(sigma: number): Promise<Uint8Array> {
    const { mean, variances, basis, floor } = this.#spectrum;
    const bytes = (v: Float64Array) => new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
    // The mean does not matter, but how many coordinates there are.
    this.#content ??= await cacheKey(`${mean.length} ${floor}`, bytes(variances), bytes(basis));
    const { theta, orientation = "input", normalisation = "global" } = this.#rule;
    return await cacheKey(
      this.#content,
      JSON.stringify([sigma, theta, orientation, normalisation]),
    );
  }
}

/** How masks of `d` coordinates are kept. */
function formatOf(d: number): CacheFormat<Mask> {
  return {
    magic: MAGIC,
    suffix: "mask",
    decode(payload) {
      const mask = emptyMask(d);
      if (payload.length !== mask.bits.byteLength) return undefined;
      new Uint8Array(mask.bits.buffer).set(payload);
      return mask;
    },
    encode: ({ bits }) => [new Uint8Array(bits.buffer)],
  };
}
