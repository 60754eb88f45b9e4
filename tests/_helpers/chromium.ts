/** Pages in a headless Chromium, asked over its DevTools protocol. */
import assert from "node:assert/strict";

/** Longest wait for Chromium to start, in milliseconds. */
const PATIENCE = 60_000;

/** Why there is no Chromium, if there is none. */
export async function chromiumMissing(): Promise<string | undefined> {
  try {
    await new Deno.Command("chromium", { args: ["--version"] }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no chromium";
    throw error;
  }
}

/** A page that is open. */
export interface Page {
  /** The value of an expression, of JSON, awaited in the page. What it throws there is thrown here. */
  evaluate<T>(expression: string): Promise<T>;
}

/** Opens a page in a Chromium of its own, which ends with `body`. */
export async function withPage(
  url: string,
  flags: readonly string[],
  body: (page: Page) => Promise<void>,
): Promise<void> {
  const profile = await Deno.makeTempDir();
  try {
    const chromium = new Deno.Command("chromium", {
      // Without a sandbox: root has none, and the pages are ours.
      args: [
        "--headless",
        "--no-sandbox",
        // Containers often have little shared memory.
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        ...flags,
        url,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const socket = await connect(`http://127.0.0.1:${await portOf(profile)}`);
      try {
        await body({ evaluate: evaluator(socket) });
      } finally {
        socket.close();
      }
    } finally {
      chromium.kill();
      await chromium.status;
    }
  } finally {
    await removeWhenLeft(profile);
  }
}

/** Removes a profile, into which processes of a Chromium that has ended may write for a moment longer. */
async function removeWhenLeft(profile: string): Promise<void> {
  for (const begin = performance.now();;) {
    try {
      return await Deno.remove(profile, { recursive: true });
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOTEMPTY") throw error;
      assert.ok(performance.now() - begin < PATIENCE, `${profile} is written to without end`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** The port that Chromium chose, which it leaves in its profile. */
async function portOf(profile: string): Promise<number> {
  for (const begin = performance.now(); performance.now() - begin < PATIENCE;) {
    const text = await Deno.readTextFile(`${profile}/DevToolsActivePort`).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    });
    if (text.includes("\n")) return Number.parseInt(text);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`chromium did not start within ${PATIENCE} ms`);
}

async function connect(tools: string): Promise<WebSocket> {
  const targets: { type: string; webSocketDebuggerUrl: string }[] =
    await (await fetch(`${tools}/json/list`)).json();
  const page = targets.find(({ type }) => type === "page") ?? assert.fail("there is no page");
  const socket = new WebSocket(page.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = (event) => reject((event as ErrorEvent).error);
  });
  return socket;
}

/** What `Runtime.evaluate` answers. */
interface Answer {
  readonly id: number;
  readonly error?: { readonly message: string };
  readonly result: {
    readonly result: { readonly value: unknown };
    readonly exceptionDetails?: { readonly exception: { readonly description: string } };
  };
}

function evaluator(socket: WebSocket): Page["evaluate"] {
  let calls = 0;
  return async <T>(expression: string) => {
    const id = ++calls;
    const answer = new Promise<Answer>((resolve, reject) => {
      socket.addEventListener("message", ({ data }) => {
        const message: Answer = JSON.parse(data);
        if (message.id === id) resolve(message);
      });
      socket.addEventListener("close", () => reject(new TypeError("the page was closed")));
    });
    const params = { expression, awaitPromise: true, returnByValue: true };
    socket.send(JSON.stringify({ id, method: "Runtime.evaluate", params }));
    const { error, result } = await answer;
    if (error) assert.fail(error.message);
    if (result.exceptionDetails) assert.fail(result.exceptionDetails.exception.description);
    return result.result.value as T;
  };
}
