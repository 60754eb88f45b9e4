/** The PLY format: a text header that declares elements, then their numbers as text or binary. */
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { GrowingArray } from "./_growing_array.ts";
import { checkCorners, GrowingPolygons, type Polygons } from "./_polygons.ts";
import { decodeText, parseNumber } from "./_text.ts";

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
  /** The place of the next one. */
  readonly at: number;
  next(type: Scalar): number;
  /** Fails unless so many numbers of a type may still come. */
  expect(count: number, type: Scalar): void;
  atEnd(): boolean;
}

/** Bytes or characters between two turns of others. */
const TURN = 2 ** 16;

/** Vertices and faces of a PLY file. */
export function* parsePly(
  bytes: Uint8Array,
  file: string,
): Interruptible<{ vertices: Float64Array; faces: Polygons }> {
  const { format, elements, start } = parseHeader(bytes, file);
  const body = bytes.subarray(start);
  const source = format === "ascii"
    ? textSource(body, file)
    : binarySource(body, format === "binary_little_endian", file);
  const vertices = new GrowingArray((length) => new Float64Array(length));
  const faces = new GrowingPolygons(file);
  let heard = 0;
  for (const { name, count, properties } of elements) {
    const places = ["x", "y", "z"].map((axis) => placeOf(properties, axis));
    const indices = name === "face" ? placeOfIndices(properties) : -1;
    const read = properties.map((property, k) =>
      readerOf(property, name, source, file, k === indices)
    );
    const row: (readonly number[])[] = properties.map(() => []);
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < read.length; k++) row[k] = read[k](i);
      if (name === "vertex") places.forEach((place) => vertices.push(row[place][0]));
      if (name === "face") {
        const corners = row[indices];
        if (corners.length < 3 || corners.some((index) => index < 0)) {
          throw new DatasetError(
            file,
            `face ${i} with vertices [${corners.slice(0, 8).join(", ")}]`,
            "at least three indices >= 0",
          );
        }
        faces.push(corners);
      }
      if (source.at - heard < TURN) continue;
      heard = source.at;
      yield;
    }
  }
  if (!source.atEnd()) {
    throw new DatasetError(
      file,
      "more data than its header declares",
      "the end of the file",
    );
  }
  return { vertices: vertices.values, faces: faces.polygons };
}

function placeOf(properties: readonly Property[], wanted: string): number {
  return properties.findIndex(({ name }) => name === wanted);
}

/** Where the list of a face's corners is. */
function placeOfIndices(properties: readonly Property[]): number {
  const place = placeOf(properties, "vertex_indices");
  return place < 0 ? placeOf(properties, "vertex_index") : place;
}

/** Reads a property of a row. Lists that nobody asks for are passed over: they may be as long as the file. */
function readerOf(
  { type, listType }: Property,
  element: string,
  source: Source,
  file: string,
  wanted: boolean,
): (row: number) => readonly number[] {
  if (!listType) return () => [source.next(type)];
  return (row) => {
    const length = source.next(listType);
    if (length < 0) {
      throw new DatasetError(
        file,
        `a list of length ${length} in ${element}`,
        "a length >= 0",
      );
    }
    source.expect(length, type);
    if (wanted) checkCorners(length, row, file);
    const values: number[] = [];
    for (let k = 0; k < length; k++) {
      const value = source.next(type);
      if (wanted) values.push(value);
    }
    return values;
  };
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
  const text = decodeText(body, file);
  const isSpace = (at: number) => {
    const code = text.charCodeAt(at);
    return code <= 32
      ? code === 32 || (code >= 9 && code <= 13)
      : code > 127 && text[at].trim() === "";
  };
  const pastSpace = (at: number) => {
    while (at < text.length && isSpace(at)) at++;
    return at;
  };
  let at = pastSpace(0);
  return {
    get at() {
      return at;
    },
    next(type) {
      const start = at;
      while (at < text.length && !isSpace(at)) at++;
      const token = text.slice(start, at);
      at = pastSpace(at);
      const value = parseNumber(token);
      if (
        Number.isNaN(value) || (type[0] !== "f" && !Number.isInteger(value))
      ) {
        throw new DatasetError(
          file,
          token === "" ? "an early end" : JSON.stringify(token.slice(0, 40)),
          type[0] === "f" ? "a number" : "a whole number",
        );
      }
      return value;
    },
    expect(count) {
      // Each takes a character, and a space before the next one.
      if (2 * count - 1 > text.length - at) {
        throw new DatasetError(file, "an early end", "a number");
      }
    },
    atEnd: () => at === text.length,
  };
}

function endsEarly(body: Uint8Array, file: string): DatasetError {
  return new DatasetError(
    file,
    `an end after ${body.length} bytes of data`,
    "all numbers that its header declares",
  );
}

function binarySource(
  body: Uint8Array,
  littleEndian: boolean,
  file: string,
): Source {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let at = 0;
  return {
    get at() {
      return at;
    },
    next(type) {
      const from = at;
      at += Number(type[1]);
      if (at > body.length) throw endsEarly(body, file);
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
    expect(count, type) {
      if (count * Number(type[1]) > body.length - at) throw endsEarly(body, file);
    },
    atEnd: () => at === body.length,
  };
}
