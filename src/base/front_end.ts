/**
 * Where things are shown: the front end of a notebook, or the console.
 *
 * @module
 */

/** One thing in several formats, by MIME type; the front end takes the best it knows. */
export type MediaBundle = Readonly<Record<string, unknown>>;

/** Hands a bundle to the front end, as `Deno.jupyter.display` does. */
export type Display = (
  bundle: MediaBundle,
  options: {
    /** The bundle is sent as it is. */
    readonly raw: true;
    /** A name for the place where it is shown. */
    readonly display_id?: string;
    /** Whether to replace what is shown under that name. */
    readonly update?: boolean;
  },
) => Promise<void>;

/** The kernel may send an output after it has said that a cell is done; so long a cell waits for it. */
export const SETTLE = 25;

/** The display of the running Deno kernel, if this is one. */
export function kernelDisplay(): Display | undefined {
  try {
    return Deno.jupyter.display;
  } catch {
    // Outside a kernel the property is there, but reading it throws.
    return undefined;
  }
}

/** Shows the form in plain text on the console. */
export const print: Display = (bundle) => {
  console.log(bundle["text/plain"]);
  return Promise.resolve();
};

/** A time in words. */
export function seconds(time: number): string {
  return time < 60
    ? `${time.toFixed(1)} s`
    : `${Math.floor(time / 60)} min ${Math.round(time % 60)} s`;
}
