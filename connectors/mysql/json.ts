/**
 * The canonical spelling of a JSON document: no white space, object keys sorted by code unit, the
 * last of equal keys, shortest escapes, and numbers as they were spelled (a parse into doubles
 * would lose digits). Text that is no JSON comes back unchanged.
 */
export function canonicalJson(text: string): string {
  try {
    const reader = new Reader(text);
    const value = reader.value();
    return reader.atEnd() ? value : text;
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|([^ \t\n\r{}[\],:"]+))/y;
const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

/** A recursive descent over one document that builds the canonical text as it goes. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): string {
    const token = this.#next();
    if (token === '{') return this.#object();
    if (token === '[') return this.#array();
    if (token.startsWith('"')) return canonicalString(token);
    if (!SCALAR.test(token)) throw new SyntaxError('not a JSON value');
    return token;
  }

  atEnd(): boolean {
    return this.#text.slice(this.#at).trim() === '';
  }

  #object(): string {
    const members = new Map<string, string>();
    for (let token = this.#next(); token !== '}'; token = this.#next()) {
      if (members.size > 0 || token === ',') {
        if (token !== ',' || members.size === 0) throw new SyntaxError('misplaced comma');
        token = this.#next();
      }
      if (!token.startsWith('"')) throw new SyntaxError('an object key is a string');
      const key = JSON.parse(token) as string;
      if (this.#next() !== ':') throw new SyntaxError('a colon follows a key');
      members.set(key, this.value());
    }
    const keys = [...members.keys()].sort(byCodeUnit);
    return `{${keys.map((key) => `${JSON.stringify(key)}:${members.get(key)}`).join(',')}}`;
  }

  #array(): string {
    const items: string[] = [];
    const start = this.#at;
    if (this.#next() === ']') return '[]';
    this.#at = start;
    for (;;) {
      items.push(this.value());
      const token = this.#next();
      if (token === ']') return `[${items.join(',')}]`;
      if (token !== ',') throw new SyntaxError('a comma or the end follows an item');
    }
  }

  #next(): string {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) throw new SyntaxError('unexpected text');
    this.#at = TOKEN.lastIndex;
    return (match[1] ?? match[2] ?? match[3])!;
  }
}

/** Most strings hold no escape and are canonical as they stand. */
function canonicalString(token: string): string {
  return token.includes('\\') ? JSON.stringify(JSON.parse(token)) : token;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
