/**
 * What makes and versions records.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };

/** The name of the package. */
export const PACKAGE_NAME: string = config.name;

/** Its name and version, as records keep them. */
export const PACKAGE: string = `${config.name}@${config.version}`;
