import type { TrainedNetwork } from "./trained.ts";

/** What names a network, as text: for files, and for telling whether two are the same. */
export function describe(
  { network, preconditioning, step, data }: Omit<TrainedNetwork, "weights" | "mean">,
): Record<"network" | "preconditioning" | "step" | "data", string> {
  return {
    network: JSON.stringify(network.config),
    preconditioning: JSON.stringify(preconditioning.config),
    step: String(step),
    data,
  };
}
