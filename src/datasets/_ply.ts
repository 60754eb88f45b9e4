/** The PLY format: a text header that declares elements, then their numbers as text or binary. */
import { DatasetError } from "../errors.ts";
import { decodeText, parseNumber } from "./_text.ts";
import type { Polygons } from "./_triangulate.ts";

type Scalar = "i1" | "u1" | "i2" | "u2" | "i4" | "u4" | "f4" | "f8";

const SCALARS: Record<string, Scalar> = {
  char: "i1",
  uchar: "u1",
  short: "i2",
  ushort: "u2",
  int: "i4",
  uint: "u4",
  float: "f4",
  double: "f8",
  int8: "i1",
  uint8: "u1",
  int16: "i2",
  uint16: "u2",
  int32: "i4",
  uint32: "u4",
  float32: "f4",
  float64: "f8",
};

interface Property {
  readonly name: string;
  readonly type: Scalar;
  /** The type of a list's length, if the property is a list. */
  readonly listType?: Scalar;
}

interface PlyElement {
  readonly name: string;
  readonly count: number;
  readonly properties: Property[];
}

interface Header {
  readonly format: string;
  readonly elements: PlyElement[];
  /** Where the numbers begin. */
  readonly start: number;
}

/** The numbers after the header, one after the other. */
interface Source {
  next(type: Scalar): number;
  atEnd(): boolean;
}

/** Vertices and faces of a PLY file. */
export function parsePly(
  bytes: Uint8Array,
  file: string,
): { vertices: Float64Array; faces: Polygons } {
  const { format, elements, start } = parseHeader(bytes, file);
  const body = bytes.subarray(start);
  const source = format === "ascii"
    ? textSource(body, file)
    : binarySource(body, format === "binary_little_endian", file);
  const vertices: number[] = [];
  const faces: Polygons = { corners: [], sizes: [] };
  for (const element of elements) {
    for (let i = 0; i < element.count; i++) {
      const row = readRow(element, source, file);
      if (element.name === "vertex") {
        vertices.push(...["x", "y", "z"].map((axis) => row.get(axis)![0]));
      } else if (element.name === "face") {
        const corners = row.get("vertex_indices") ?? row.get("vertex_index")!;
        if (corners.length < 3 || corners.some((index) => index < 0)) {
          throw new DatasetError(
            file,
            `face ${i} with vertices [${corners.slice(0, 8).join(", ")}]`,
            "at least three indices >= 0",
          );
        }
        for (const corner of corners) faces.corners.push(corner);
        faces.sizes.push(corners.length);
      }
    }
  }
  if (!source.atEnd()) {
    throw new DatasetError(
      file,
      "more data than its header declares",
      "the end of the file",
    );
  }
  return { vertices: Float64Array.from(vertices), faces };
}

function readRow(
  { name, properties }: PlyElement,
  source: Source,
  file: string,
): Map<string, number[]> {
  const row = new Map<string, number[]>();
  for (const property of properties) {
    const { type, listType } = property;
    const length = listType ? source.next(listType) : 1;
    if (length < 0) {
      throw new DatasetError(
        file,
        `a list of length ${length} in ${name}`,
        "a length >= 0",
      );
    }
    const values: number[] = [];
    // A list longer than the file ends with the file.
    for (let k = 0; k < length; k++) values.push(source.next(type));
    row.set(property.name, values);
  }
  return row;
}

function parseHeader(bytes: Uint8Array, file: string): Header {
  // Latin-1, so that one character is one byte; headers are short.
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 2 ** 16));
  const match = /^ply\r?\n([^]*?\n)?end_header\r?\n/.exec(text);
  if (!match) {
    throw new DatasetError(
      file,
      "no end_header line in the first 65,536 bytes",
      "the header of a PLY file",
    );
  }
  let format = "";
  const elements: PlyElement[] = [];
  for (const line of (match[1] ?? "").split(/\r?\n/).slice(0, -1)) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "comment" || words[0] === "obj_info") continue;
    const declared = !format &&
      /^format (ascii|binary_(?:little|big)_endian) 1\.0$/.exec(
        words.join(" "),
      );
    const element = /^element (\w+) (\d{1,10})$/.exec(words.join(" "));
    const property = parseProperty(words);
    if (declared) format = declared[1];
    else if (element) {
      elements.push({
        name: element[1],
        count: Number(element[2]),
        properties: [],
      });
    } else if (property && elements.length > 0) {
      elements[elements.length - 1].properties.push(property);
    } else {
      throw new DatasetError(
        file,
        `the header line ${JSON.stringify(line.slice(0, 60))}`,
        "a format, element, property or comment",
      );
    }
  }
  checkElements(format, elements, file);
  return { format, elements, start: match[0].length };
}

function parseProperty(words: string[]): Property | undefined {
  if (words[0] !== "property") return undefined;
  const list = words[1] === "list";
  const [type, name] = words.slice(list ? 3 : 1);
  const types = list ? words.slice(2, 4) : [words[1]];
  const known = types.every((t) => Object.hasOwn(SCALARS, t ?? ""));
  if (!known || !name || words.length !== (list ? 5 : 3)) return undefined;
  return {
    name,
    type: SCALARS[type],
    listType: list ? SCALARS[words[2]] : undefined,
  };
}

function checkElements(
  format: string,
  elements: PlyElement[],
  file: string,
): void {
  const bad = (found: string, wanted: string) => new DatasetError(file, found, wanted);
  if (format === "") throw bad("no format", "ascii or binary, version 1.0");
  if (new Set(elements.map(({ name }) => name)).size < elements.length) {
    throw bad("two elements of one name", "one of each");
  }
  for (const { name, properties } of elements) {
    const byName = new Map(properties.map((p) => [p.name, p]));
    if (byName.size === 0 || byName.size < properties.length) {
      throw bad(
        `element ${name} with properties [${properties.map((p) => p.name).join(", ")}]`,
        "at least one, each of its own name",
      );
    }
    const lists = properties.filter((p) => p.listType?.startsWith("f"));
    if (lists.length > 0) {
      throw bad(`a list in ${name} with a length in floats`, "whole numbers");
    }
    const scalar = (axis: string) => byName.has(axis) && !byName.get(axis)!.listType;
    if (name === "vertex" && !["x", "y", "z"].every(scalar)) {
      throw bad(
        `vertices with [${[...byName.keys()].join(", ")}]`,
        "x, y and z",
      );
    }
    const indices = byName.get("vertex_indices") ?? byName.get("vertex_index");
    if (name === "face" && !(indices?.listType && indices.type[0] !== "f")) {
      throw bad(
        `faces with [${[...byName.keys()].join(", ")}]`,
        "a list vertex_indices of whole numbers",
      );
    }
  }
}

function textSource(body: Uint8Array, file: string): Source {
  const tokens = decodeText(body, file).match(/\S+/g) ?? [];
  let at = 0;
  return {
    next(type) {
      const token = tokens[at++];
      const value = parseNumber(token ?? "");
      if (
        Number.isNaN(value) || (type[0] !== "f" && !Number.isInteger(value))
      ) {
        throw new DatasetError(
          file,
          token === undefined ? "an early end" : JSON.stringify(token.slice(0, 40)),
          type[0] === "f" ? "a number" : "a whole number",
        );
      }
      return value;
    },
    atEnd: () => at === tokens.length,
  };
}

function binarySource(
  body: Uint8Array,
  littleEndian: boolean,
  file: string,
): Source {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let at = 0;
  return {
    next(type) {
      const from = at;
      at += Number(type[1]);
      if (at > body.length) {
        throw new DatasetError(
          file,
          `an end after ${body.length} bytes of data`,
          "all numbers that its header declares",
        );
      }
      switch (type) {
        case "i1":
          return view.getInt8(from);
        case "u1":
          return view.getUint8(from);
        case "i2":
          return view.getInt16(from, littleEndian);
        case "u2":
          return view.getUint16(from, littleEndian);
        case "i4":
          return view.getInt32(from, littleEndian);
        case "u4":
          return view.getUint32(from, littleEndian);
        case "f4":
          return view.getFloat32(from, littleEndian);
        case "f8":
          return view.getFloat64(from, littleEndian);
      }
    },
    atEnd: () => at === body.length,
  };
}
