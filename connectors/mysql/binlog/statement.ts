/**
 * What the statements in a row-format log mean to us: where transactions end, and what happens to
 * tables other than by rows. This reads the few forms that matter; it is no SQL parser.
 */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export type Statement =
  | { readonly verb: 'begin' | 'commit' | 'rollback' | 'rollbackTo' | 'other' }
  /** XA START, END, PREPARE, COMMIT and ROLLBACK. */
  | { readonly verb: 'xa'; readonly action: string }
  | { readonly verb: 'truncate' | 'drop' | 'change'; readonly tables: readonly TableName[] }
  /** CREATE TABLE … SELECT of MySQL: the rows follow in the same transaction. */
  | { readonly verb: 'createWithRows'; readonly tables: readonly TableName[] }
  | { readonly verb: 'dropSchema'; readonly schema: string }
  /** In order: a swap is three moves. */
  | { readonly verb: 'rename'; readonly moves: readonly (readonly [TableName, TableName])[] }
  /** Rows vanish or appear with their partition and no row event says so. */
  | { readonly verb: 'partition'; readonly tables: readonly TableName[] }
  /** A change of rows that is logged as its statement; `words` has every identifier in it. */
  | { readonly verb: 'dml'; readonly schema: string; readonly words: ReadonlySet<string> };

const OTHER: Statement = { verb: 'other' };
const TRANSACTION: Readonly<Record<string, Statement>> = {
  BEGIN: { verb: 'begin' },
  COMMIT: { verb: 'commit' },
  ROLLBACK: { verb: 'rollback' },
};

const DML = new Set(['INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'LOAD', 'WITH', 'MERGE', 'CALL']);
/** Only a beginning is needed to tell that a statement is none of ours. */
const RELEVANT = /^(?:TRUNCATE|DROP|RENAME|ALTER|CREATE|ROLLBACK|XA)$/;

export function readStatement(sql: string, schema: string): Statement {
  const plain = TRANSACTION[sql];
  if (plain !== undefined) return plain;
  const tokens = tokenize(sql);
  const verb = wordAt(tokens, 0);
  if (DML.has(verb)) {
    const words = new Set(tokens.map(({ text }) => text));
    return { verb: 'dml', schema, words };
  }
  const bare = TRANSACTION[verb];
  if (bare !== undefined) return wordAt(tokens, 1) === 'TO' ? { verb: 'rollbackTo' } : bare;
  if (!RELEVANT.test(verb)) return OTHER;
  if (verb === 'XA') return { verb: 'xa', action: wordAt(tokens, 1) };
  return readDefinition(new Tokens(tokens), schema, verb);
}

function readDefinition(t: Tokens, schema: string, verb: string): Statement {
  t.skip(verb);
  const replaces = t.skip('OR', 'REPLACE');
  const temporary = t.skip('TEMPORARY');
  t.skip('ONLINE');
  t.skip('IGNORE');
  if (verb === 'TRUNCATE') {
    t.skip('TABLE');
    return { verb: 'truncate', tables: [t.name(schema)] };
  }
  if (verb === 'DROP' && (t.skip('DATABASE') || t.skip('SCHEMA'))) {
    t.skip('IF', 'EXISTS');
    return { verb: 'dropSchema', schema: t.name(schema).table };
  }
  if (temporary || !(t.skip('TABLE') || t.skip('TABLES'))) return OTHER;
  t.skip('IF', 'EXISTS') || t.skip('IF', 'NOT', 'EXISTS');
  if (verb === 'RENAME') return { verb: 'rename', moves: renames(t, schema) };
  const table = t.name(schema);
  if (verb === 'DROP') {
    const tables = [table];
    while (t.skip(',')) tables.push(t.name(schema));
    return { verb: 'drop', tables };
  }
  if (verb === 'CREATE') {
    if (replaces) return { verb: 'truncate', tables: [table] };
    return {
      verb: t.endsWith('START', 'TRANSACTION') ? 'createWithRows' : 'change',
      tables: [table],
    };
  }
  return alteration(t, schema, table);
}

function renames(t: Tokens, schema: string): (readonly [TableName, TableName])[] {
  const moves: (readonly [TableName, TableName])[] = [];
  do {
    const from = t.name(schema);
    t.after('TO');
    moves.push([from, t.name(schema)]);
  } while (t.skip(','));
  return moves;
}

const ROWLESS = /^(?:TRUNCATE|DROP|EXCHANGE|IMPORT|DISCARD|CONVERT)$/;
const NO_TABLE = new Set(['COLUMN', 'INDEX', 'KEY', 'PARTITION']);

function alteration(t: Tokens, schema: string, table: TableName): Statement {
  let depth = 0;
  for (; !t.done(); t.next()) {
    const word = t.word();
    if (word === '(') depth++;
    else if (word === ')') depth--;
    if (depth > 0) continue;
    const target = t.word(1);
    if (ROWLESS.test(word) && (target === 'PARTITION' || target === 'TABLESPACE')) {
      return { verb: 'partition', tables: [table] };
    }
    if (word === 'RENAME' && !NO_TABLE.has(target)) {
      t.next();
      t.skip('TO') || t.skip('AS') || t.skip('=');
      return { verb: 'rename', moves: [[table, t.name(schema)]] };
    }
  }
  return { verb: 'change', tables: [table] };
}

interface Token {
  readonly text: string;
  readonly quoted: boolean;
}

const TOKEN = new RegExp(
  [
    /\/\*M?!\d*|\*\//, // around what the server executes
    /\/\*[\s\S]*?\*\/|--(?=\s|$)[^\n]*|#[^\n]*/, // comments
    /`((?:[^`]|``)*)`/,
    /"((?:[^"\\]|\\[\s\S]|"")*)"/,
    /'(?:[^'\\]|\\[\s\S]|'')*'/,
    /([\w$\u0080-\uffff]+)|([^\s])/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

/**
 * Words, quoted names and single marks; comments are left out but for those the server executes.
 * Double quotes may hold a name (ANSI_QUOTES) or a string, which no name is looked for in.
 */
function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  for (const [, backticks, quotes, word, mark] of sql.matchAll(TOKEN)) {
    if (backticks !== undefined)
      tokens.push({ text: backticks.replaceAll('``', '`'), quoted: true });
    else if (quotes !== undefined)
      tokens.push({ text: quotes.replaceAll('""', '"'), quoted: true });
    else if (word !== undefined || mark !== undefined) {
      tokens.push({ text: (word ?? mark)!, quoted: false });
    }
  }
  return tokens;
}

function wordAt(tokens: readonly Token[], at: number): string {
  const token = tokens[at];
  return token === undefined || token.quoted ? '' : token.text.toUpperCase();
}

class Tokens {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  word(ahead = 0): string {
    return wordAt(this.#tokens, this.#at + ahead);
  }

  next(): void {
    this.#at++;
  }

  /** Moves behind these words if they come next. */
  skip(...words: string[]): boolean {
    if (!words.every((word, i) => this.word(i) === word)) return false;
    this.#at += words.length;
    return true;
  }

  endsWith(...words: string[]): boolean {
    const from = this.#tokens.length - words.length;
    return words.every((word, i) => wordAt(this.#tokens, from + i) === word);
  }

  after(word: string): void {
    while (!this.done() && !this.skip(word)) this.#at++;
  }

  /** `table` or `schema.table`. */
  name(schema: string): TableName {
    const first = this.#tokens[this.#at++]?.text ?? '';
    if (!this.skip('.')) return { schema, table: first };
    return { schema: first, table: this.#tokens[this.#at++]?.text ?? '' };
  }
}
