/** Python as an independent reader of the files that are written here. */

/**
 * Why Python cannot import modules, or nothing if it can.
 *
 * @param modules Their names.
 */
export async function pythonLacks(...modules: readonly string[]): Promise<string | undefined> {
  try {
    await python(`import ${modules.join(", ")}`);
  } catch {
    return `Python with ${modules.join(" and ")} is not installed`;
  }
}

/** What a Python program prints. */
export async function python(program: string, ...args: readonly string[]): Promise<string> {
  const command = new Deno.Command("python3", { args: ["-c", program, ...args] });
  const { code, stdout, stderr } = await command.output();
  if (code !== 0) throw new TypeError(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
