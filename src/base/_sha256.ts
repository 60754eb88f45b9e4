/**
 * The SHA-256 of bytes that come in parts, which the web's own digest does not take.
 *
 * @param parts The parts, one after the other.
 */
export async function sha256(
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  // Imported here: pages load this file too.
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  for await (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
