import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { cacheFolder } from "../../src/base/_cache_folder.ts";
import { withFolder } from "../_helpers/files.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** What a program of its own prints, with these variables and permissions, in a terminal's absence. */
async function printed(
  program: string,
  { env = {}, allow = ["-A"], cwd = ROOT }: {
    env?: Record<string, string>;
    allow?: string[];
    cwd?: string;
  },
): Promise<string> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, program);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", ...allow, "--config", join(ROOT, "deno.json"), path],
      clearEnv: true,
      // Where Deno itself keeps what it downloads.
      env: { DENO_DIR: denoFolder(), ...env },
      cwd,
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(path);
  }
}

function denoFolder(): string {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

const SOURCE = new URL("../../src/base/_cache_folder.ts", import.meta.url).href;
const SHOW = `import { cacheFolder } from "${SOURCE}"; console.log(await cacheFolder("try"));`;

Deno.test("cacheFolder() is what an option names, or none", async () => {
  assert.equal(await cacheFolder("try", "some/place"), "some/place");
  assert.equal(await cacheFolder("try", false), undefined);
  await assert.rejects(cacheFolder("try", ""), {
    name: "RangeError",
    message: 'Cannot try: cache is "", wanted the path of a folder, or false',
  });
});

Deno.test({
  name: "cacheFolder() is by default the user's folder of caches, or what CLOSEDFORM_CACHE names",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const cases: [Record<string, string>, string][] = [
      [{ HOME: "/h" }, "/h/.cache/closedform-diffusion"],
      [{ HOME: "/h/", XDG_CACHE_HOME: "/x" }, "/x/closedform-diffusion"],
      // A relative one would be the working directory's.
      [{ HOME: "/h", XDG_CACHE_HOME: "x" }, "/h/.cache/closedform-diffusion"],
      [{ HOME: "/h", XDG_CACHE_HOME: "" }, "/h/.cache/closedform-diffusion"],
      [{ XDG_CACHE_HOME: "x" }, "undefined"],
      [{ HOME: "h" }, "undefined"],
      [{}, "undefined"],
      [{ HOME: "/h", CLOSEDFORM_CACHE: "/c" }, "/c"],
      [{ HOME: "/h", CLOSEDFORM_CACHE: "none" }, "undefined"],
      [{ HOME: "/h", CLOSEDFORM_CACHE: "" }, "/h/.cache/closedform-diffusion"],
    ];
    for (const [env, expected] of cases) {
      assert.equal(await printed(SHOW, { env }), `${expected}\n`, JSON.stringify(env));
    }
  },
});

Deno.test("cacheFolder() is none, without asking, where variables or files may not be read", async () => {
  const env = { HOME: "/h" };
  const cases: [string[], string][] = [
    [[], "undefined"],
    [["--allow-read", "--allow-write"], "undefined"],
    [["--allow-env=HOME", "--allow-read", "--allow-write"], "undefined"],
    [["--allow-env=HOME,CLOSEDFORM_CACHE", "--allow-read"], "undefined"],
    [["--allow-env"], "undefined"],
    [["--allow-env", "--allow-read"], "/h/.cache/closedform-diffusion"],
    [["--allow-env", "--allow-write"], "/h/.cache/closedform-diffusion"],
  ];
  for (const [allow, expected] of cases) {
    if (Deno.build.os !== "linux" && expected !== "undefined") continue;
    assert.equal(await printed(SHOW, { env, allow }), `${expected}\n`, allow.join(" "));
  }
});

Deno.test({
  name: "no call of the library writes into the working directory",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      const [work, home] = [join(folder, "work"), join(folder, "home")];
      await Deno.mkdir(work);
      const module = new URL("../../mod.ts", import.meta.url).href;
      const program = `
        import { Dataset, dataSpectrum, dpmV3Statistics, encodePng, optimal,
          pcaLocality, readImages, shapes } from "${module}";
        const set = shapes(30);
        const { basis } = await dataSpectrum(set);
        const local = await pcaLocality(set, { theta: 0.1, device: "float64" });
        await local.denoise(new Float64Array(set.dimension), 1);
        await dpmV3Statistics(await optimal(set, { device: "float64" }), set, { intervals: 2, samples: 2 });
        await Deno.mkdir("${folder}/images");
        const data = new Uint8Array(16).fill(255);
        await Deno.writeFile("${folder}/images/x.png", await encodePng({ width: 2, height: 2, data }));
        await readImages("${folder}/images");
        console.log(basis.length > 0);`;
      const kinds = (place: string) => {
        const names = Array.from(Deno.readDirSync(place), ({ name }) => name);
        return [...new Set(names.map((name) => name.split(".").at(-1)))].sort();
      };
      const run = (cache: Record<string, string>) =>
        printed(program, { cwd: work, env: { HOME: home, ...cache } });
      assert.equal(await run({}), "true\n");
      const place = Deno.build.os === "darwin" ? "Library/Caches" : ".cache";
      const all = ["images", "mask", "spectrum", "statistics"];
      assert.deepEqual(kinds(join(home, place, "closedform-diffusion")), all);
      await Deno.remove(join(folder, "images"), { recursive: true });
      await Deno.remove(home, { recursive: true });
      assert.equal(await run({ CLOSEDFORM_CACHE: "none" }), "true\n");
      assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(), [
        "images",
        "work",
      ]);
      assert.deepEqual([...Deno.readDirSync(work)], []);
    }),
});
