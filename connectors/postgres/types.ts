import type { ColumnKind, Value } from '../../src/model/value.ts';
import { canonicalJson } from './json.ts';

/** How the text of one type becomes a canonical value; see README.md and TYPES.md. */
export interface Codec {
  readonly kind: ColumnKind;
  /** Only ASCII bytes on the wire: may be read as Latin-1, which is faster. */
  readonly ascii: boolean;
  /** Null when the database's own text is canonical already. */
  readonly decode: ((text: string) => string) | null;
}

const codec = (kind: ColumnKind, ascii: boolean, decode: Codec['decode'] = null): Codec => ({
  kind,
  ascii,
  decode,
});

const string = codec('string', false);
const integer = codec('integer', true);
const float = codec('float', true, (text) => String(Number(text)));
const json = codec('json', false, canonicalJson);
const set = codec('set', false, setOf);

export const OTHER: Codec = codec('other', false);

/** By type OID (src/include/catalog/pg_type.dat); these numbers are the same in every cluster. */
const BUILT_IN: ReadonlyMap<number, Codec> = new Map([
  [16, codec('boolean', true, (text) => (text === 't' ? 'true' : 'false'))],
  [17, codec('bytes', true, (text) => text.slice(2))],
  [18, string], // "char"
  [19, string], // name
  [20, integer],
  [21, integer],
  [23, integer],
  [25, string],
  [26, integer], // oid
  [114, json],
  [142, string], // xml
  [700, float],
  [701, float],
  [1002, set], // "char"[]
  [1003, set], // name[]
  [1009, set], // text[]
  [1015, set], // varchar[]
  [1042, codec('string', false, withoutPadding)],
  [1043, string],
  [1082, codec('date', true)],
  [1083, codec('time', true)],
  [1114, codec('datetime', true, datetime)],
  [1184, codec('timestamp', true, timestamp)],
  [1700, codec('decimal', true)],
  [2950, codec('uuid', true)],
  [3802, json],
]);

const BPCHAR_ARRAY = 1014;

/** The rows of {@link TYPES_SQL}: a type with its domains resolved, and its element's nature. */
export interface TypeRow {
  /** The type asked for. */
  readonly oid: string;
  /** The type under its domains; itself when it is no domain. */
  readonly base: string;
  readonly typtype: string;
  readonly typcategory: string;
  /** Of the element, null when it is no array. */
  readonly element_type: string | null;
  readonly element_category: string | null;
}

/** Looks up the types `$1::oid[]`. */
export const TYPES_SQL = `
  with recursive chain(oid, base) as (
    select oid, oid from pg_catalog.pg_type where oid = any($1::oid[])
    union all
    select chain.oid, t.typbasetype
    from chain join pg_catalog.pg_type t on t.oid = chain.base where t.typtype = 'd')
  select chain.oid, t.oid as base, t.typtype, t.typcategory,
    e.typtype as element_type, e.typcategory as element_category
  from chain
  join pg_catalog.pg_type t on t.oid = chain.base and t.typtype <> 'd'
  left join pg_catalog.pg_type e on e.oid = t.typelem and t.typcategory = 'A'`;

export function builtInCodec(oid: number): Codec | undefined {
  return BUILT_IN.get(oid);
}

/** Enums and extension types of the string category (citext) are strings, their arrays sets. */
export function codecOf(type: TypeRow): Codec {
  const builtIn = BUILT_IN.get(Number(type.base));
  if (builtIn !== undefined) return builtIn;
  if (type.typtype === 'e' || type.typcategory === 'S') return string;
  // Elements of char(n)[] are padded, and the padding could not be told from blanks.
  if (Number(type.base) === BPCHAR_ARRAY) return OTHER;
  if (type.element_type === 'e' || type.element_category === 'S') return set;
  return OTHER;
}

/** A canonical value in a spelling that the type's input function accepts. */
export function encode(kind: ColumnKind, value: Value): Value {
  const encoder = encoderOf(kind);
  return value === null || encoder === null ? value : encoder(value);
}

/** Null: the canonical spelling is accepted as it is. */
export function encoderOf(kind: ColumnKind): ((text: string) => string) | null {
  if (kind === 'bytes') return (hex) => `\\x${hex}`;
  return kind === 'set' ? arrayLiteral : null;
}

function arrayLiteral(text: string): string {
  if (text === '[]') return '{}';
  if (!text.startsWith('["')) return text;
  const elements = (JSON.parse(text) as string[]).map(
    (element) => `"${element.replace(/["\\]/g, '\\$&')}"`,
  );
  return `{${elements.join()}}`;
}

function withoutPadding(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--;
  return end === text.length ? text : text.slice(0, end);
}

/** `2024-05-01 10:00:00`; infinities, BC and five-digit years keep the database's spelling. */
function datetime(text: string): string {
  return text[10] === ' ' && !text.endsWith('C') ? `${text.slice(0, 10)}T${text.slice(11)}` : text;
}

/** `2024-05-01 10:00:00+00`: every session of ours has the time zone UTC. */
function timestamp(text: string): string {
  return text[10] === ' ' && text.endsWith('+00')
    ? `${text.slice(0, 10)}T${text.slice(11, -3)}Z`
    : text;
}

/**
 * The elements of an array as a set. Arrays that are no set of strings (more dimensions, NULL
 * elements, own lower bounds) keep the database's text, which no reader takes for a set.
 */
function setOf(text: string): string {
  const elements = arrayElements(text);
  return elements === null ? text : JSON.stringify([...new Set(elements)].sort());
}

/** PostgreSQL manual, "Array Input and Output Syntax". */
function arrayElements(text: string): string[] | null {
  if (text === '{}') return [];
  if (!text.startsWith('{') || text.startsWith('{{')) return null;
  const elements: string[] = [];
  const element = /(?:"((?:[^"\\]|\\.)*)"|([^",{}]+))[,}]/gsy;
  element.lastIndex = 1;
  while (element.lastIndex < text.length) {
    const match = element.exec(text);
    if (match === null || match[2]?.toUpperCase() === 'NULL') return null;
    elements.push(match[2] ?? match[1]!.replace(/\\(.)/gs, '$1'));
  }
  return elements;
}
