/**
 * Ctrl-C: the first ends the work in hand, the second does not wait.
 *
 * @module
 */

/** The exit code of a command that was interrupted. */
export const INTERRUPTED = 130;

/**
 * Runs a command and ends the process with its exit code.
 *
 * @param command The command; its signal is aborted by the first SIGINT. The second one ends the process.
 */
export async function runCommand(command: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const controller = new AbortController();
  Deno.addSignalListener("SIGINT", () => {
    if (controller.signal.aborted) Deno.exit(INTERRUPTED);
    controller.abort(new DOMException("Interrupted", "AbortError"));
  });
  Deno.exit(await command(controller.signal));
}
