/** Problems with a known flow, on which samplers are measured. */
import type {
  Denoiser,
  KnownOutput,
  Sampler,
  SamplerOptions,
  SamplerStep,
} from "@closedform/diffusion";
import type { ExactFlow } from "@closedform/diffusion/theory";
import { Dataset, gaussianLaw, logSnrGrid, mixtureLaw, startNoise } from "@closedform/diffusion";
import { gaussianFlow, mixtureFlow, pointFlow } from "@closedform/diffusion/theory";

/** 400 points whose third cumulants are far from 0. */
export const SKEWED = new Dataset({
  data: Float32Array.from(startNoise(51, 0, 400, 3), (v) => Math.exp(v / 2)),
  shape: [3],
  name: "skewed",
});

/** A flow, and a state of it at noise level 5. */
export interface Toy {
  readonly flow: ExactFlow;
  readonly start: Float64Array;
}

/** A single point in the plane. */
export const POINT: Toy = { flow: pointFlow([0.5, -2]), start: Float64Array.of(3, -4) };

/** A diagonal Gaussian in four dimensions. */
export const GAUSSIAN: Toy = {
  flow: gaussianFlow(gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0.01])),
  start: Float64Array.of(5, -4, 3, 2),
};

/** Three isotropic modes in the plane. */
export const MIXTURE: Toy = {
  flow: mixtureFlow(mixtureLaw([0.5, 0.3, 0.2], [
    gaussianLaw([1, 0.5], 0.09),
    gaussianLaw([-1, 0.2], 0.04),
    gaussianLaw([0.1, -1.2], 0.16),
  ])),
  start: Float64Array.of(3, -4),
};

/** The methods that take outputs known before; the others have no option for them. */
const MULTISTEP = /^(?:dpmpp|exp-ab|unip)/;

/** All steps of a run, with copies of the states. */
export async function stepsOf(
  sampler: Sampler,
  denoiser: Denoiser<Float64Array>,
  start: Float64Array,
  sigmas: readonly number[],
  { history, ...options }: SamplerOptions & {
    history?: readonly KnownOutput<Float64Array>[];
  } = {},
): Promise<SamplerStep<Float64Array>[]> {
  const steps: SamplerStep<Float64Array>[] = [];
  const known = history && MULTISTEP.test(sampler.name) ? { ...options, history } : options;
  for await (const step of sampler.run(denoiser, start, sigmas, known)) {
    steps.push({ ...step, x: step.x.slice(), denoised: step.denoised.slice() });
  }
  return steps;
}

/** The end state of a run. */
export async function endOf(...run: Parameters<typeof stepsOf>): Promise<Float64Array> {
  return (await stepsOf(...run)).at(-1)!.x;
}

/** The largest difference of two states. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** The levels from 5 to 0.5 in `steps` steps of equal ratio. */
export function uniformLevels(steps: number): readonly number[] {
  return logSnrGrid(steps, { sigmaMax: 5, sigmaMin: 0.5 }).sigmas;
}

/** Outputs at the exact states of the last `count` levels above 5, had the levels begun there. */
export async function exactHistory(
  { flow, start }: Toy,
  steps: number,
  count = 3,
): Promise<KnownOutput<Float64Array>[]> {
  const ratio = 10 ** (1 / steps);
  return await Promise.all(Array.from({ length: count }, async (_, j) => {
    const sigma = 5 * ratio ** (j + 1);
    const x = await flow.transport(start, 5, sigma);
    return { sigma, denoised: (await flow.denoiser.denoise(x, sigma)).mean };
  }));
}

const ends = new Map<Toy, Promise<Float64Array>>();

/** The exact state at noise level 0.5. */
export function exactEnd(toy: Toy): Promise<Float64Array> {
  const known = ends.get(toy) ?? toy.flow.transport(toy.start, 5, 0.5);
  ends.set(toy, known);
  return known;
}
