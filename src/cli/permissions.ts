/**
 * What the commands may do, and what for. The tasks in `deno.json` give these permissions and no others.
 *
 * @module
 */

/** A permission of a command. */
export interface Permission {
  /** The flag that Deno takes. */
  readonly flag: string;
  /** What it is for. */
  readonly use: string;
}

/** The variables of the environment that are looked at, and what for. */
export const VARIABLES: Readonly<Record<string, string>> = {
  CLOSEDFORM_CACHE: "names the folder of caches, or none",
  XDG_CACHE_HOME: "the user's folder of caches, if it is not below HOME",
  HOME: "the folder above the user's caches",
  LOCALAPPDATA: "the same on Windows",
  XDG_RUNTIME_DIR: "set to /tmp if it is missing: Mesa's drivers of graphics complain without it",
};

/** The permissions of `deno task sample` and `deno task train:codec`. */
export const PERMISSIONS: readonly Permission[] = [
  {
    flag: "--allow-read",
    use: "data, start noise, codecs, records and caches, from any folder that you name",
  },
  {
    flag: "--allow-write",
    use: "the folder or file of --out, and caches",
  },
  {
    flag: `--allow-env=${Object.keys(VARIABLES).join(",")}`,
    use: "these variables alone:",
  },
  {
    flag: "--allow-sys=systemMemoryInfo",
    use: "how much memory there is, so that what does not fit is refused with a number " +
      "instead of ending the process. Without it 8 GB are assumed, which is said",
  },
];
