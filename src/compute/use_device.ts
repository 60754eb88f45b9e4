/**
 * The device of the process: chosen once, and no argument of every call.
 *
 * @module
 */
import { checkKind } from "../base/_kinds.ts";
import { note } from "../base/_note.ts";
import type { OptionTable } from "../base/_options.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { Device, DeviceName, Float64Device } from "./device.ts";
import { DEVICE_NAMES, openDevice } from "./open_device.ts";

/** The variable of the environment that names the device. */
export const DEVICE_VARIABLE = "CLOSEDFORM_DEVICE";

/** A device, or the name of one. */
export type DeviceChoice = DeviceName | Device;

/** What is computed on a device has states of this type. */
export type StateOf<D> = D extends "float64" | Float64Device ? Float64Array : AnyTensor;

/** The option of everything that is computed on a device. */
export interface DeviceOption<D extends DeviceChoice = DeviceChoice> {
  /** Where to compute: the name of a device or an opened one. Default: the device of the process, see {@linkcode useDevice}. */
  readonly device?: D;
}

/** The option of {@linkcode DeviceOption}, which has no default of its own. */
export const DEVICE_OPTION = { device: undefined } satisfies OptionTable<DeviceOption>;

/** The devices that were opened by name, each once per process. */
const opened = new Map<DeviceName, Promise<Device>>();
let chosen: Promise<Device> | undefined;

/**
 * Chooses the device on which everything is computed from now on, where no option `device` says otherwise. Denoisers
 * that exist stay where they are.
 *
 * Without it the first computation opens the device that the variable `CLOSEDFORM_DEVICE` names, else `"auto"`, and one
 * line says which it is.
 *
 * @param device Its name, or a device from `openDevice()`.
 * @returns The device. A device that was chosen by its name lives as long as the process.
 * @throws {DeviceError} If the device is not there.
 * @throws {RangeError} If there is no such name.
 * @throws {TypeError} If it is neither a name nor a device.
 *
 * @example
 * ```ts
 * import { useDevice } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { kind } = await useDevice("wasm");
 * assert.equal(kind, "wasm");
 * ```
 */
export async function useDevice(device: DeviceChoice): Promise<Device> {
  const next = deviceOf(device);
  // A choice that fails leaves the one before.
  await next;
  chosen = next;
  return await next;
}

/**
 * The device that an option names.
 *
 * @param choice A device, a name, or nothing for that of the process.
 * @returns An open device, which is not the caller's to dispose.
 * @throws {DeviceError} If the device is not there.
 * @throws {RangeError} If there is no such name.
 * @throws {TypeError} If it is neither a name nor a device.
 */
export async function deviceOf(choice?: DeviceChoice): Promise<Device> {
  if (choice === undefined) return await (chosen ??= keptUnlessFailed(ofProcess()));
  if (typeof choice === "string") return await named(choice);
  checkKind("choose a device", "device", choice, "device");
  return choice as Device;
}

async function ofProcess(): Promise<Device> {
  const name = await ofEnvironment();
  const device = await named(name ?? "auto");
  note(
    `${device.kind}: ${device.description} (${
      name ? `${DEVICE_VARIABLE}=${name}` : device.reason
    })`,
  );
  return device;
}

/** A failure is told to those who wait for it; the next one tries again. */
function keptUnlessFailed(device: Promise<Device>): Promise<Device> {
  device.catch(() => chosen = undefined);
  return device;
}

function named(name: DeviceName): Promise<Device> {
  const known = opened.get(name);
  if (known) return known;
  const device = openDevice(name);
  opened.set(name, device);
  device.catch(() => opened.delete(name));
  return device;
}

/** What the environment names, if there is one and it may be read without a question to the user. */
async function ofEnvironment(): Promise<DeviceName | undefined> {
  if (typeof Deno !== "object") return undefined;
  const { state } = await Deno.permissions.query({ name: "env", variable: DEVICE_VARIABLE });
  const name = state === "granted" ? Deno.env.get(DEVICE_VARIABLE) : undefined;
  if (!name) return undefined;
  if (!(DEVICE_NAMES as readonly string[]).includes(name)) {
    throw new RangeError(
      `Cannot open the device ${name} of ${DEVICE_VARIABLE}: wanted one of ${
        DEVICE_NAMES.join(", ")
      }`,
    );
  }
  return name as DeviceName;
}
