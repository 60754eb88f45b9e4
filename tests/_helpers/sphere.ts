import { Dataset } from "@closedform/diffusion";

/** Points of a golden spiral on the unit sphere. */
export function sphere(n: number): Dataset {
  const data = new Float32Array(3 * n);
  for (let i = 0; i < n; i++) {
    const z = 1 - 2 * (i + .5) / n, angle = Math.PI * (1 + Math.sqrt(5)) * (i + .5);
    const radius = Math.sqrt(1 - z * z);
    data.set([radius * Math.cos(angle), radius * Math.sin(angle), z], 3 * i);
  }
  return new Dataset({ data, shape: [3], name: "sphere" });
}
