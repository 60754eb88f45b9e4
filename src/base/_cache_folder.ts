/** Where results are kept on disk: in the user's folder of caches, unless he names another one, or none. */
import { granted } from "./_file_system.ts";

/** The folder of this package in the user's folder of caches. */
const NAME = "closedform-diffusion";
/** Names another folder, or `none`. */
const VARIABLE = "CLOSEDFORM_CACHE";

/**
 * The folder of caches that an option asks for; nothing if there is to be none, or none may be used.
 *
 * @param action What the option is for, in messages.
 * @param option A folder; false for none; true for the usual one: that of the variable `CLOSEDFORM_CACHE`, or
 * the user's.
 * @throws {RangeError} If the folder has no name.
 */
export async function cacheFolder(
  action: string,
  option: string | boolean = true,
): Promise<string | undefined> {
  if (option === "") {
    throw new RangeError(`Cannot ${action}: cache is "", wanted the path of a folder, or false`);
  }
  const folder = option === true ? usualFolder() : option === false ? undefined : option;
  if (folder === undefined) return undefined;
  const usable = await granted("read", folder) || await granted("write", folder);
  return usable ? folder : undefined;
}

function usualFolder(): string | undefined {
  if (typeof Deno !== "object") return undefined;
  const named = variable(VARIABLE);
  // Who may not read it cannot know that there is to be none.
  if (named === null || named === "none" || named === "false") return undefined;
  const place = named || userFolder();
  return place || undefined;
}

/** By the XDG base directory specification, and what Windows and macOS have in its place. */
function userFolder(): string | undefined {
  const { os } = Deno.build;
  if (os === "windows") return below(variable("LOCALAPPDATA"), "Cache");
  if (os === "darwin") return below(variable("HOME"), "Library", "Caches");
  const xdg = variable("XDG_CACHE_HOME");
  // A relative one must be ignored, and would lie in the working directory.
  if (xdg === null || xdg?.startsWith("/")) return below(xdg);
  return below(variable("HOME"), ".cache");
}

function below(place: string | undefined | null, ...names: string[]): string | undefined {
  const absolute = place && (place.startsWith("/") || /^([A-Za-z]:)?[\\/]/.test(place));
  return absolute ? [place.replace(/[\\/]+$/, ""), ...names, NAME].join("/") : undefined;
}

/** An environment variable; null if it may not be read, which is asked without asking the user. */
function variable(name: string): string | undefined | null {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : null;
}
