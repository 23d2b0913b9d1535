import type { Pool } from 'pg';
import type { Digest, DigestRequest } from '../../src/contract/digest.ts';
import type { DigestField } from '../../src/contract/entity.ts';
import type { Value } from '../../src/model/value.ts';
import { describeTables, type PostgresColumn } from './describe.ts';
import { describeError } from './errors.ts';
import { quote, quotedTable, type TextRow } from './session.ts';
import { encode } from './types.ts';

/** Reduces tables to digests inside the server; see `Source.digest`. */
export function createDigester(pool: Pool): (request: DigestRequest) => Promise<Digest | null> {
  return async (request) => {
    const { table, fields, after } = request;
    const [described] = await describeTables(pool, [table.name]);
    const find = (name: string) => described?.columns.find((column) => column.name === name);
    const key = table.key.flatMap((name) => find(name) ?? []);
    const texts = fields.map((field) => {
      const column = find(field.column);
      return column === undefined ? null : framed(column, field, request.marker);
    });
    if (key.length < table.key.length || texts.includes(null)) return null;
    const rows = async (text: string, values: readonly unknown[]): Promise<readonly TextRow[]> => {
      try {
        return (await pool.query({ text, values: [...values], rowMode: 'array' })).rows;
      } catch (error) {
        throw describeError('source', error);
      }
    };
    const next = await boundary(rows, key, request);
    const { where, values } = range(key, after, next);
    const digest = `md5(convert_to(${texts.join(' || ')}, 'UTF8'))`;
    const names = key.map(({ name }) => quote(name)).join(', ');
    const from = `(select ${names}, ${digest} as digest
      from ${quotedTable(table.name)} ${where} offset 0) as t`;
    const bucket = `(('x' || substr(digest, 17, 6))::bit(24)::int >> ${24 - request.bits})`;
    if (request.among !== null) {
      const found = await rows(
        `select ${names}, digest from ${from} where ${bucket} = any($${values.length + 1}::int[])`,
        [...values, request.among],
      );
      return { rows: 0, next, sums: [], found: found.map(rowOf(key)) };
    }
    const sums = await rows(
      `select ${bucket}, count(*), sum(('x' || substr(digest, 1, 15))::bit(60)::bigint)
       from ${from} group by 1`,
      values,
    );
    const counted = sums.map(([at, count, sum]) => ({
      bucket: Number(at),
      rows: Number(count),
      sum: sum ?? '0',
    }));
    const all = counted.reduce((total, one) => total + one.rows, 0);
    return { rows: all, next, sums: counted, found: [] };
  };
}

const rowOf = (key: readonly PostgresColumn[]) => (row: TextRow) => ({
  key: key.map(({ codec: { decode } }, i) => {
    const cell = row[i] ?? null;
    return cell === null || decode === null ? cell : decode(cell);
  }),
  digest: row[key.length] ?? '',
});

/** The key of the row that ends the page; null: the table ends before. */
async function boundary(
  rows: (text: string, values: readonly unknown[]) => Promise<readonly TextRow[]>,
  key: readonly PostgresColumn[],
  { table, after, limit }: DigestRequest,
): Promise<readonly Value[] | null> {
  const { where, values } = range(key, after, null);
  const names = key.map(({ name }) => quote(name)).join(', ');
  const [last] = await rows(
    `select ${names} from ${quotedTable(table.name)} ${where}
     order by ${names} offset ${limit - 1} limit 1`,
    values,
  );
  return last === undefined ? null : rowOf(key)(last).key;
}

function range(
  key: readonly PostgresColumn[],
  after: readonly Value[] | null,
  upTo: readonly Value[] | null,
): { where: string; values: Value[] } {
  const names = key.map(({ name }) => quote(name)).join(', ');
  const values: Value[] = [];
  const side = (operator: string, bound: readonly Value[] | null): string[] => {
    if (bound === null) return [];
    const list = key.map(({ kind, castType }, i) => {
      values.push(encode(kind, bound[i] ?? null));
      return `$${values.length}::${castType}`;
    });
    return [`(${names}) ${operator} (${list.join(', ')})`];
  };
  const terms = [...side('>', after), ...side('<=', upTo)];
  return { where: terms.length === 0 ? '' : `where ${terms.join(' and ')}`, values };
}

function framed(column: PostgresColumn, field: DigestField, marker: string): string | null {
  const text = spelled(column, field, marker);
  return text === null ? null : `coalesce(length(${text})::text || ':' || ${text}, '~')`;
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The column's value in the field's canonical spelling; null: there is no sound expression. */
function spelled(column: PostgresColumn, field: DigestField, marker: string): string | null {
  const name = quote(column.name);
  const text = `${name}::text collate "C"`;
  const marked = `${literal(`?${marker}:`)} || ${text}`;
  if (field.codes !== null) {
    if (!['string', 'integer', 'boolean'].includes(column.kind)) return null;
    const cases = [...field.codes].map(
      ([code, value]) => `when ${literal(code)} then ${literal(value)}`,
    );
    return `(case ${text} ${cases.join(' ')} else ${marked} end)`;
  }
  if (field.kind === 'decimal') return decimal(column, name, field.scale);
  const kind = field.kind === 'enum' ? 'string' : field.kind;
  if (kind !== column.kind) return null;
  switch (kind) {
    case 'string':
      return field.clean.length === 0
        ? `(${text})`
        : cleaned(text, literal(unchanged(field.clean)), marked);
    case 'integer':
    case 'boolean':
    case 'date':
    case 'datetime':
    case 'uuid':
      return `(${text})`;
    case 'timestamp':
      return `((${name} at time zone 'UTC')::text)`;
    default:
      return null;
  }
}

const cleaned = (text: string, pattern: string, marked: string): string =>
  `(case when ${text} ~ ${pattern} then ${text} else ${marked} end)`;

/** Rounding to a larger scale changes nothing; the server's own scale is known for numeric(p,s). */
function decimal(column: PostgresColumn, name: string, scale: number): string | null {
  const declared = /^numeric\(\d+,(\d+)\)$/.exec(column.nativeType);
  const fits = declared !== null && Number(declared[1]) <= scale;
  return fits || column.kind === 'integer' ? `(round(${name}::numeric, ${scale})::text)` : null;
}

/** What the steps leave as it is, as far as ASCII can tell. */
function unchanged(clean: DigestField['clean']): string {
  const first = clean.includes('lower') ? '!-@[-~' : clean.includes('upper') ? '!-`{-~' : '!-~';
  const inner = first === '!-~' ? '.' : `[ ${first}]`;
  return `^([${first}](${inner}*[${first}])?)?$`;
}
