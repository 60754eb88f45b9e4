/** The texts that name data sets, taken apart. */

/** A mesh's path, and how many points, chosen how and by which seed: `PATH:200:farthest:7`. */
export const POINTS = /^(.+?):([1-9]\d{0,8})(?::(area|farthest)(?::(\d{1,15}))?)?$/s;

/** A folder or archive of images, and the size that they are given: `PATH:64`, or `PATH:48x64` for height and width. */
export const SIZED = /^(.+?):([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?$/s;

/** Schemes whose rest is a path. */
const OF_PATHS = ["mnist", "cifar10", "cifar100", "images", "npy", "npz", "csv", "mesh"];

/** The parts before and after the first colon; paths may hold more of them. */
export function splitSpec(spec: string): [scheme: string, rest: string] {
  const colon = spec.indexOf(":");
  return colon < 0 ? [spec, ""] : [spec.slice(0, colon), spec.slice(colon + 1)];
}

/** The file or folder that a text names, if it does. */
export function pathOfSpec(spec: string): string | undefined {
  const [scheme, rest] = splitSpec(spec);
  if (!OF_PATHS.includes(scheme) || rest === "") return undefined;
  const form = { mesh: POINTS, images: SIZED }[scheme];
  return form?.exec(rest)?.[1] ?? rest;
}
