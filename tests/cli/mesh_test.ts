import { readMesh } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { cliRun } from "../_helpers/cli_runs.ts";
import { withFolder, write } from "../_helpers/files.ts";
import { BOX_FACES, boxCorners, encodeObj } from "../_helpers/meshes.ts";

Deno.test("sample --data mesh:PATH:N:METHOD:SEED writes the cloud as npy, PLY and a picture", () =>
  withFolder(async (folder) => {
    const path = await write(folder, "box.obj", encodeObj(boxCorners(1, 1, 1), BOX_FACES));
    const out = join(folder, "o");
    const run = await cliRun(out, "--data", `mesh:${path}:40:farthest:3`, "--count", "25");
    assert.deepEqual(run.names, ["run.json", "samples.npy", "samples.ply", "samples.png"]);
    assert.deepEqual(run.shape, [25, 3]);
    const cloud = await readMesh(join(out, "samples.ply"), { vertices: true, normalise: "none" });
    assert.ok(cloud.data.every((v, i) => v === run.samples[i]));
    // The optimal denoiser ends at the points that were asked for.
    const points = await readMesh(path, { count: 40, method: "farthest", seed: 3 });
    assert.equal(run.record.data.count, 40);
    for (const [i, item] of (run.record.topItem as number[]).entries()) {
      points.values(item).forEach((v, c) =>
        assert.ok(Math.abs(v - run.samples[3 * i + c]) < 1e-5, `sample ${i}`)
      );
    }
  }));
