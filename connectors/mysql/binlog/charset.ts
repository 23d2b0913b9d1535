/**
 * Text in row images is in the column's own character set. Single-byte sets are decoded through
 * tables that the server itself fills, so that the log spells a value exactly as SELECT does.
 */
export type TextDecode = (buf: Buffer, start: number, end: number) => string;

export interface Charsets {
  /** The decoder for a collation's character set; null for binary. */
  ofCollation(id: number): TextDecode | null;
  /** Some collation of a character set. */
  collationOf(charset: string): number;
}

/** Runs a statement; rows come as text, in the order of the select list. */
export type RunQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** East Asian sets, by the name that the WHATWG Encoding Standard has for them. */
const MULTIBYTE: Readonly<Record<string, string>> = {
  big5: 'big5',
  gb2312: 'gbk',
  gbk: 'gbk',
  gb18030: 'gb18030',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  eucjpms: 'euc-jp',
  euckr: 'euc-kr',
};

const utf8: TextDecode = (buf, start, end) => buf.utf8Slice(start, end);

/** A BMP-only or surrogate-paired big-endian set. */
const utf16be: TextDecode = (buf, start, end) => {
  const swapped = Buffer.from(buf.subarray(start, end - ((end - start) & 1)));
  return swapped.swap16().ucs2Slice(0, swapped.length);
};

const utf32be: TextDecode = (buf, start, end) => {
  let text = '';
  for (let at = start; at + 4 <= end; at += 4) text += String.fromCodePoint(buf.readUInt32BE(at));
  return text;
};

const UNICODE: Readonly<Record<string, TextDecode>> = {
  utf8,
  utf8mb3: utf8,
  utf8mb4: utf8,
  ucs2: utf16be,
  utf16: utf16be,
  utf16le: (buf, start, end) => buf.ucs2Slice(start, end),
  utf32: utf32be,
};

/** Reads which character set each collation has, and the tables of the single-byte sets. */
export async function loadCharsets(run: RunQuery): Promise<Charsets> {
  const sets = await run(
    'SELECT character_set_name, maxlen FROM information_schema.character_sets',
  );
  const decoders = new Map<string, TextDecode | null>([['binary', null]]);
  const single: string[] = [];
  for (const [set, maxlen] of sets) {
    const name = set ?? '';
    const known = UNICODE[name];
    if (known !== undefined) decoders.set(name, known);
    else if (MULTIBYTE[name] !== undefined) decoders.set(name, whatwg(MULTIBYTE[name]));
    else if (name !== 'binary' && maxlen === '1') single.push(name);
  }
  for (const [name, table] of await singleByteTables(run, single)) {
    decoders.set(name, byTable(table));
  }
  const collations = await collationIds(run);
  return {
    collationOf: (charset) => {
      for (const [id, name] of collations) if (name === charset) return id;
      throw new RangeError(`unknown character set ${charset}`);
    },
    ofCollation: (id) => {
      const decoder = decoders.get(collations.get(id) ?? '');
      if (decoder === undefined) throw new RangeError(`unknown collation ${id}`);
      return decoder;
    },
  };
}

async function collationIds(run: RunQuery): Promise<Map<number, string>> {
  const columns = 'id, character_set_name';
  // From 10.10 on, MariaDB's collations have an id for each character set, listed only here.
  const rows = await run(
    `SELECT ${columns} FROM information_schema.collation_character_set_applicability`,
  ).catch(() => run(`SELECT ${columns} FROM information_schema.collations`));
  return new Map(rows.map(([id, name]) => [Number(id), name ?? '']));
}

/** What each of the 256 bytes is in every set. */
async function singleByteTables(run: RunQuery, names: readonly string[]) {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('hex');
  const columns = names.map((name) => `CONVERT(_${name} X'${every}' USING utf8mb4)`);
  const [row = []] = names.length === 0 ? [] : await run(`SELECT ${columns.join(', ')}`);
  return names.map((name, i): [string, string[]] => [name, [...row[i]!]]);
}

function byTable(table: readonly string[]): TextDecode {
  if (table.length !== 256) throw new RangeError('the server gave an incomplete character table');
  const ascii = table.every((text, byte) => byte > 127 || text.charCodeAt(0) === byte);
  return (buf, start, end) => {
    let at = start;
    if (ascii) while (at < end && buf[at]! < 128) at++;
    if (at === end) return buf.latin1Slice(start, end);
    let text = ascii ? buf.latin1Slice(start, at) : '';
    for (; at < end; at++) text += table[buf[at]!]!;
    return text;
  };
}

function whatwg(label: string): TextDecode {
  const decoder = new TextDecoder(label);
  return (buf, start, end) => decoder.decode(buf.subarray(start, end));
}
