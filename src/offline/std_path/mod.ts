/**
 * A stand-in for `jsr:@std/path`, so that a clone resolves every import
 * without reaching JSR. It holds the functions this project uses, on top of
 * `node:path`, with the signatures of the real package. The published code
 * imports the real one; `deno unlink @std/path` makes a clone do so too.
 *
 * @module
 */
import * as path from "node:path";
import { fileURLToPath } from "node:url";

/** Joins path segments and normalises the result. */
export function join(path0?: string | URL, ...paths: string[]): string {
  if (path0 === undefined) return path.join(...paths);
  return path.join(
    path0 instanceof URL ? fileURLToPath(path0) : path0,
    ...paths,
  );
}

/** Resolves path segments into an absolute path. */
export function resolve(...pathSegments: string[]): string {
  return path.resolve(...pathSegments);
}

/** The relative path from one path to another. */
export function relative(from: string, to: string): string {
  return path.relative(from, to);
}

/** The extension of a path, with its leading dot. */
export function extname(path0: string | URL): string {
  return path.extname(path0 instanceof URL ? fileURLToPath(path0) : path0);
}

/** Whether a path is absolute. */
export function isAbsolute(path0: string): boolean {
  return path.isAbsolute(path0);
}

/** Turns a file URL into a path. */
export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

/** The last part of a path. */
export function basename(path0: string): string {
  return path.basename(path0);
}

/** The folder of a path. */
export function dirname(path0: string): string {
  return path.dirname(path0);
}

/** What separates the parts of a path. */
export const SEPARATOR: "/" | "\\" = path.sep;
