/**
 * All samplers by their names, as on the command line.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { collocation } from "./collocation.ts";
import { ddim } from "./ddim.ts";
import { dopri5 } from "./dopri5.ts";
import { dop853 } from "./dop853.ts";
import { dpmV3 } from "./dpm_v3.ts";
import type { DpmV3Statistics } from "./dpm_v3/statistics.ts";
import { dpmpp1 } from "./dpmpp_1.ts";
import { dpmpp2m } from "./dpmpp_2m.ts";
import { dpmpp3m } from "./dpmpp_3m.ts";
import { euler } from "./euler.ts";
import { exponentialAdams } from "./exponential_adams.ts";
import { heun } from "./heun.ts";
import { picard } from "./picard.ts";
import { rk4 } from "./rk4.ts";
import type { Sampler } from "./sampler.ts";
import { unipc } from "./unipc.ts";

/** What a sampler is made with. */
export interface SamplerRequest {
  /** The tolerance of a sampler that adapts or iterates, as it defines it. Default: its own. */
  readonly tolerance?: number;
  /** The tables that `dpm-v3` needs. */
  readonly statistics?: DpmV3Statistics;
}

/** The names of all samplers. */
export type SamplerName =
  | "ddim"
  | "euler"
  | "heun"
  | "dpmpp-1"
  | "dpmpp-2m"
  | "dpmpp-3m"
  | "dpmpp-3m-taylor"
  | "exp-ab-1"
  | "exp-ab-2"
  | "exp-ab-3"
  | "exp-ab-4"
  | "unipc"
  | "unipc-b1"
  | "unipc-2"
  | "unipc-2-b1"
  | "dpm-v3"
  | "rk4"
  | "dopri5"
  | "dop853"
  | "picard"
  | "collocation"
  | "collocation-static"
  | "collocation-published";

const SAMPLERS: Readonly<Record<SamplerName, (request: SamplerRequest) => Sampler>> = {
  "ddim": ddim,
  "euler": euler,
  "heun": heun,
  "dpmpp-1": dpmpp1,
  "dpmpp-2m": () => dpmpp2m(),
  "dpmpp-3m": () => dpmpp3m(),
  "dpmpp-3m-taylor": () => dpmpp3m({ form: "taylor" }),
  "exp-ab-1": () => exponentialAdams(1),
  "exp-ab-2": () => exponentialAdams(2),
  "exp-ab-3": () => exponentialAdams(3),
  "exp-ab-4": () => exponentialAdams(4),
  "unipc": () => unipc(),
  "unipc-b1": () => unipc({ b: "B1" }),
  "unipc-2": () => unipc({ order: 2 }),
  "unipc-2-b1": () => unipc({ order: 2, b: "B1" }),
  "dpm-v3": dpmV3WithStatistics,
  "rk4": rk4,
  "dopri5": ({ tolerance }) => dopri5({ tolerance }),
  "dop853": ({ tolerance }) => dop853({ tolerance }),
  "picard": ({ tolerance }) => picard({ tolerance }),
  "collocation": ({ tolerance }) => collocation({ tolerance }),
  "collocation-static": ({ tolerance }) => collocation({ mode: "static", tolerance }),
  "collocation-published": () => collocation({ mode: "published" }),
};

const WITH_TOLERANCE: readonly string[] = [
  "dopri5",
  "dop853",
  "picard",
  "collocation",
  "collocation-static",
];

function dpmV3WithStatistics({ statistics }: SamplerRequest): Sampler {
  if (!statistics) {
    throw new TypeError(
      "Cannot make the sampler dpm-v3: received no statistics, wanted those of dpmV3Statistics()",
    );
  }
  return dpmV3({ statistics });
}

/**
 * The names of all samplers.
 *
 * @example
 * ```ts
 * import { SAMPLER_NAMES } from "@closedform/diffusion";
 * import { samplerByName } from "./registry.ts";
 * import assert from "node:assert/strict";
 *
 * assert.ok(SAMPLER_NAMES.includes("heun"));
 * assert.equal(samplerByName("heun").name, "heun");
 * ```
 */
export const SAMPLER_NAMES: readonly SamplerName[] = Object.keys(SAMPLERS) as SamplerName[];

/**
 * Whether a sampler takes a tolerance.
 *
 * @param name Its name.
 * @returns True for those that adapt their steps or iterate.
 *
 * @example
 * ```ts
 * import { takesTolerance } from "./registry.ts";
 * import assert from "node:assert/strict";
 *
 * assert.ok(takesTolerance("dop853") && !takesTolerance("heun"));
 * ```
 */
export function takesTolerance(name: string): boolean {
  return WITH_TOLERANCE.includes(name);
}

const OPTIONS = { tolerance: undefined, statistics: undefined } satisfies OptionTable<
  SamplerRequest
>;

/**
 * A sampler by its name.
 *
 * @param name Which sampler, one of `SAMPLER_NAMES`.
 * @param request Its tolerance or tables.
 * @returns The sampler.
 * @throws {RangeError} If there is no such sampler, or it takes no tolerance, or not this one.
 * @throws {TypeError} If it needs tables and there are none.
 *
 * @example
 * ```ts
 * import { samplerByName } from "./registry.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(samplerByName("unipc").order, 4);
 * assert.throws(() => samplerByName("heun", { tolerance: 1e-3 }), RangeError);
 * ```
 */
export function samplerByName(name: string, request: SamplerRequest = {}): Sampler {
  checkOptionNames(`make the sampler ${name}`, request, OPTIONS);
  if (!Object.hasOwn(SAMPLERS, name)) {
    throw new RangeError(
      `Cannot make the sampler ${name}: wanted one of ${SAMPLER_NAMES.join(", ")}`,
    );
  }
  if (request.tolerance !== undefined && !takesTolerance(name)) {
    throw new RangeError(
      `Cannot make the sampler ${name}: received a tolerance, wanted none, or one of ${
        WITH_TOLERANCE.join(", ")
      }`,
    );
  }
  return SAMPLERS[name as SamplerName](request);
}
