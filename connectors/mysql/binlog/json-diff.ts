/**
 * Partial JSON (`binlog_row_value_options=PARTIAL_JSON`): the after-image holds what was done to
 * the before-image's document (MySQL source documentation, `Json_diff`).
 */
import { type Cursor, cursorOver, lenenc, take, u8, utf8 } from './cursor.ts';
import { type JsonNode, readBinaryJson } from './json.ts';

const REPLACE = 0;
const INSERT = 1;
const REMOVE = 2;

/** Applies the diffs that fill `c` (operation, path, and value unless removing) to `document`. */
export function applyDiffs(document: JsonNode, c: Cursor): JsonNode {
  let root = document;
  while (c.pos < c.end) {
    const operation = u8(c);
    const path = parsePath(utf8(c, lenenc(c)));
    let value: JsonNode | null = null;
    if (operation !== REMOVE) {
      const length = lenenc(c);
      const start = take(c, length);
      value = readBinaryJson(c.buf, start, start + length);
    }
    const last = path.pop();
    if (last === undefined) {
      if (value === null) throw new RangeError('a JSON diff removes the document');
      root = value;
    } else change(find(root, path), last, operation, value);
  }
  return root;
}

type Leg = string | number;

function find(root: JsonNode, path: readonly Leg[]): JsonNode {
  let node: JsonNode | undefined = root;
  for (const leg of path) {
    if (Array.isArray(node) && typeof leg === 'number') node = node[leg];
    else if (node instanceof Map && typeof leg === 'string') node = node.get(leg);
    // `$[0]` of what is no array is that value itself.
    else if (leg !== 0) node = undefined;
    if (node === undefined) throw new RangeError('a JSON diff names a place that is not there');
  }
  return node;
}

function change(parent: JsonNode, leg: Leg, operation: number, value: JsonNode | null): void {
  if (parent instanceof Map && typeof leg === 'string') {
    if (value === null) parent.delete(leg);
    else parent.set(leg, value);
  } else if (Array.isArray(parent) && typeof leg === 'number') {
    if (operation === INSERT) parent.splice(leg, 0, value!);
    else if (operation === REPLACE) parent[leg] = value!;
    else parent.splice(leg, 1);
  } else throw new RangeError('a JSON diff names a place that is not there');
}

/** `$.name."quoted name"[3]`; names as ECMAScript identifiers or JSON strings. */
function parsePath(text: string): Leg[] {
  const legs: Leg[] = [];
  const leg = /\[(\d+)\]|\.("(?:[^"\\]|\\.)*"|[^.[\]"]+)/y;
  leg.lastIndex = 1;
  while (leg.lastIndex < text.length) {
    const match = leg.exec(text);
    if (match === null) throw new RangeError('a JSON diff has a path that cannot be read');
    const [, index, name = ''] = match;
    if (index !== undefined) legs.push(Number(index));
    else legs.push(name.startsWith('"') ? (JSON.parse(name) as string) : name);
  }
  return legs;
}

/** A partial value in a row image: its size in four bytes, then the diffs. */
export function partialValue(c: Cursor): Cursor {
  const length = c.buf.readUInt32LE(take(c, 4));
  const start = take(c, length);
  return cursorOver(c.buf, start, start + length);
}
