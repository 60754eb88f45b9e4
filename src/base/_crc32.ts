/** What each byte does to a checksum. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xEDB88320 : 0);
  return crc;
});

/**
 * The CRC-32 of bytes, as zip and gzip define it, for what pages load too: where there are files, that of
 * `node:zlib` is ten times as fast.
 *
 * @param bytes The bytes.
 * @param before The checksum of those before them. Default: there are none.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
