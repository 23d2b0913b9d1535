/**
 * The canonical spelling of a JSON text: no white space, object keys sorted by code unit, the last
 * of equal keys, numbers spelled as they came (a double would lose digits), strings with the
 * escapes of `JSON.stringify`. The input must be valid JSON, as PostgreSQL guarantees.
 */
export function canonicalJson(text: string): string {
  return value({ text, at: 0 });
}

/** Where the reader is in the text. */
interface Cursor {
  readonly text: string;
  at: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function value(cursor: Cursor): string {
  skipSpace(cursor);
  const { text, at } = cursor;
  if (text[at] === '{') return object(cursor);
  if (text[at] === '[') return array(cursor);
  if (text[at] === '"') return string(cursor);
  while (cursor.at < text.length && !/[\s,\]}]/.test(text[cursor.at]!)) cursor.at++;
  if (cursor.at === at) throw new SyntaxError('unexpected end of JSON');
  return text.slice(at, cursor.at);
}

function object(cursor: Cursor): string {
  const members = new Map<string, string>();
  items(cursor, '}', () => {
    const key = string(cursor);
    skipSpace(cursor);
    cursor.at++;
    members.set(JSON.parse(key) as string, `${key}:${value(cursor)}`);
  });
  const keys = [...members.keys()].sort();
  return `{${keys.map((key) => members.get(key)).join()}}`;
}

function array(cursor: Cursor): string {
  const elements: string[] = [];
  items(cursor, ']', () => elements.push(value(cursor)));
  return `[${elements.join()}]`;
}

/** Reads what stands between the bracket at the cursor and `end`. */
function items(cursor: Cursor, end: string, read: () => void): void {
  cursor.at++;
  skipSpace(cursor);
  while (cursor.text[cursor.at] !== end) {
    read();
    skipSpace(cursor);
    if (cursor.text[cursor.at] === ',') cursor.at++;
    skipSpace(cursor);
  }
  cursor.at++;
}

/** The canonical token of the string at the cursor. */
function string(cursor: Cursor): string {
  const { text, at: start } = cursor;
  let at = start + 1;
  let escaped = false;
  for (let unit = text.charCodeAt(at); unit !== QUOTE; unit = text.charCodeAt(at)) {
    if (Number.isNaN(unit)) throw new SyntaxError('unterminated string in JSON');
    if (unit === BACKSLASH) {
      escaped = true;
      at++;
    }
    at++;
  }
  cursor.at = at + 1;
  const token = text.slice(start, cursor.at);
  return escaped ? JSON.stringify(JSON.parse(token)) : token;
}

function skipSpace(cursor: Cursor): void {
  while (cursor.text.charCodeAt(cursor.at) <= 0x20) cursor.at++;
}
