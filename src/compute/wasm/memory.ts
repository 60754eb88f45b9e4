/**
 * Shared WebAssembly memory that grows.
 *
 * @module
 */
import { DeviceError } from "../../base/errors.ts";

const PAGE = 65536;

/** The smallest multiple that is not below `n`. */
export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}

/**
 * A shared memory of at least so many bytes.
 *
 * @param bytes How many.
 * @param action What it is for, for the message.
 * @throws {DeviceError} If there is not so much.
 */
export function allocate(bytes: number, action: string = "store the data"): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({
      initial: Math.ceil(bytes / PAGE),
      maximum: 65536,
      shared: true,
    });
  } catch (cause) {
    throw new DeviceError(
      `Cannot ${action}: that takes ${
        gigabytes(bytes)
      }, wanted at most 4.2 GB of WebAssembly memory`,
      { cause },
    );
  }
}

/**
 * Grows a memory to at least so many bytes.
 *
 * @throws {DeviceError} If there is not so much.
 */
export function grow(memory: WebAssembly.Memory, bytes: number): void {
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE);
  if (missing <= 0) return;
  try {
    memory.grow(missing);
  } catch (cause) {
    throw new DeviceError(
      `Cannot scan the data: data and queries take ${
        gigabytes(bytes)
      }, wanted at most 4.2 GB of WebAssembly memory`,
      { cause },
    );
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Takes memory piece by piece, in multiples of 64 bytes. */
export class Arena {
  #end: number;

  /** @param free Address of the first byte that may be taken, a multiple of 64. */
  constructor(free: number) {
    this.#end = free;
  }

  /** Address of so many bytes. */
  take(bytes: number): number {
    const at = this.#end;
    this.#end = roundUp(at + bytes, 64);
    return at;
  }

  /** Address of the first byte that was not taken. */
  get end(): number {
    return this.#end;
  }
}
