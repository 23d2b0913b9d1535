import { createHmac, randomBytes } from 'node:crypto';
import type { Entity, Lens } from '../contract/entity.ts';
import type { Difference, Verified, VerifyPart } from '../contract/operator.ts';
import type { Chunk, ChunkRequest } from '../contract/source.ts';
import type { Decisions } from '../decide/decisions.ts';
import { driftText, refusalText } from '../decide/pass.ts';
import { needOf } from '../deliver/need.ts';
import { RECORD_UNIT, type RecordState } from '../model/record.ts';
import { type Cell, rowKey, rowKeyValues, type Value } from '../model/value.ts';
import { unknown } from './acts.ts';

/** Reads rows of one system outside of its log; see `Source.read`. */
export type ReadRows = (system: string, request: ChunkRequest) => Promise<Chunk>;

const ROWS = 1000;

/** What one part of the comparison looks at. */
interface Look {
  readonly decisions: Decisions;
  readonly entity: Entity;
  readonly lens: Lens;
  /** By row key: the row, or null where it was asked for and is not there. */
  readonly rows: ReadonlyMap<string, readonly Cell[] | null>;
  /** Rows that were asked for: what is on its way to other systems counts too. */
  readonly named: boolean;
}

/**
 * Compares one page of what a system holds with the records. What is parked, held or in the outbox
 * is left out: it is known to differ.
 */
export async function verifyPart(
  decisions: Decisions,
  read: ReadRows,
  { entity: name, system, part }: { entity: string; system: string; part: VerifyPart },
): Promise<Verified> {
  const entity = decisions.entities.get(name);
  const lens = entity?.lenses.get(system);
  if (entity === undefined || lens === undefined) throw unknown(`${system} has no ${name}`);
  if (decisions.drifted.has(driftText(system, name))) {
    const nothing = { checked: 0, next: null, leftOut: 0, differences: [], elsewhere: [] };
    return { ...nothing, held: true };
  }
  const { rows: all, next } = await readPart(decisions, read, entity, lens, part);
  // The rows pass has compared what is there: this one finds what is not.
  const isForRecords = part.kind === 'records';
  const gone = () => [...all].filter(([, row]) => !isThere(readRow(lens, row)));
  const rows = isForRecords ? new Map(gone()) : all;
  const found = await compare({ decisions, entity, lens, rows, named: part.kind === 'keys' });
  const { leftOut } = found;
  const differences = isForRecords
    ? found.differences.filter(({ kind }) => kind === 'missing')
    : found.differences;
  const elsewhere = part.kind === 'keys' ? found.elsewhere : [];
  return { checked: all.size, next, leftOut, held: false, differences, elsewhere };
}

async function readPart(
  { ledger }: Decisions,
  read: ReadRows,
  entity: Entity,
  { system, table }: Lens,
  part: VerifyPart,
): Promise<{ rows: Map<string, readonly Cell[] | null>; next: string | null }> {
  const width = table.key.length;
  const keyOf = (row: readonly Cell[]): string =>
    rowKey(table.key.map((column) => row[table.columns.indexOf(column)] ?? null));
  if (part.kind === 'rows') {
    const after = part.after === null ? null : rowKeyValues(part.after, width);
    const chunk = await read(system, { table, after, limit: ROWS });
    const rows = new Map(chunk.rows.map((row) => [keyOf(row), row] as const));
    return { rows, next: chunk.next === null ? null : rowKey(chunk.next) };
  }
  const page =
    part.kind === 'keys' ? null : await ledger.desk.linked(system, entity.name, part.after, ROWS);
  const keys = part.kind === 'keys' ? part.keys : keysOf(page ?? [], system);
  const rows = new Map<string, readonly Cell[] | null>(keys.map((key) => [key, null]));
  const wanted = keys.map((key) => rowKeyValues(key, width));
  const chunk = await read(system, { table, after: null, limit: keys.length, keys: wanted });
  for (const row of chunk.rows) rows.set(keyOf(row), row);
  return { rows, next: page?.length === ROWS ? (keys.at(-1) ?? null) : null };
}

const keysOf = (records: readonly RecordState[], system: string): string[] =>
  records.map(({ views }) => views[system]?.key ?? '');

interface Compared {
  readonly differences: Difference[];
  readonly leftOut: number;
  readonly elsewhere: Verified['elsewhere'];
}

async function compare(look: Look): Promise<Compared> {
  const { decisions, entity, lens, rows } = look;
  const { system } = lens;
  const keys = [...rows.keys()];
  const links = keys.map((key) => ({ system, entity: entity.name, key }));
  const found = await decisions.ledger.find({ links, parkedRows: links });
  const parents = await parentsOf(look);
  const differences: Difference[] = [];
  let leftOut = 0;
  for (const [i, key] of keys.entries()) {
    const row = rows.get(key) ?? null;
    const record = found.links[i] ?? null;
    const open = record !== null && isOpen(decisions, record, system);
    if (open || found.parkedRows[i] != null) {
      leftOut += 1;
      continue;
    }
    if (look.named && Object.keys(record?.outbox ?? {}).length > 0) leftOut += 1;
    const add = (difference: Pick<Difference, 'kind'> & Partial<Difference>): void => {
      const base = { system, key, record: record?.id ?? null, fields: [] };
      differences.push({ ...base, as: stateOf(row, record), ...difference });
    };
    const read = readRow(lens, row);
    const there = isThere(read);
    if (record === null && there) add({ kind: 'extra' });
    if (record === null) continue;
    if (!there) add({ kind: 'missing' });
    if (read?.kind === 'row') {
      const fields = fieldsApart(look, record, read.values, parents);
      if (fields.length > 0) add({ kind: 'differs', fields });
    }
    for (const other of entity.lenses.values()) {
      if (record.views[other.system] !== undefined || isOpen(decisions, record, other.system))
        continue;
      if (needOf(entity, other, record) === null) continue;
      add({ kind: 'absent', system: other.system, of: system });
    }
  }
  const elsewhere = found.links.flatMap((record) =>
    Object.entries(record?.views ?? {}).flatMap(([other, { status, key }]) =>
      other === system || status !== 'linked' ? [] : [{ system: other, key }],
    ),
  );
  return { differences, leftOut, elsewhere };
}

const readRow = (lens: Lens, row: readonly Cell[] | null) =>
  row === null ? null : lens.read(row, () => undefined);

/** What `where` leaves out, or a soft delete, is no row. */
const isThere = (read: ReturnType<typeof readRow>): boolean =>
  read?.kind === 'row' || read?.kind === 'invalid';

const salt = randomBytes(16);

/** Tells states apart without telling what they hold; only of differences, because it is dear. */
function stateOf(row: readonly Cell[] | null, record: RecordState | null): string {
  const state = [row, record?.values, record?.views, record?.deleted];
  return createHmac('sha256', salt).update(JSON.stringify(state)).digest('base64url').slice(0, 12);
}

/** Known to differ: a person has to decide, or it is on its way. */
function isOpen({ refusals }: Decisions, record: RecordState, system: string): boolean {
  const held = record.held?.[RECORD_UNIT] !== undefined || record.deleted !== null;
  return (
    held || record.outbox[system] !== undefined || refusals.has(refusalText(system, record.id))
  );
}

/** Records that rows refer to, by the entity and the row key of this system. */
async function parentsOf({ decisions, entity, lens, rows }: Look): Promise<Map<string, string>> {
  const { system } = lens;
  const links = new Map<string, { system: string; entity: string; key: string }>();
  for (const row of rows.values()) {
    const read = readRow(lens, row);
    if (read?.kind !== 'row') continue;
    for (const [f, { ref }] of entity.fields.entries()) {
      const key = read.values[f];
      if (ref !== null && typeof key === 'string') {
        links.set(`${ref}\u0000${key}`, { system, entity: ref, key });
      }
    }
  }
  const found = await decisions.ledger.find({ links: [...links.values()] });
  const parents = new Map<string, string>();
  for (const [i, name] of [...links.keys()].entries()) {
    const parent = found.links[i];
    if (parent != null) parents.set(name, String(parent.id));
  }
  return parents;
}

/** Fields of a row that are not the record's; of fields that are only read, not what was read. */
function fieldsApart(
  { entity, lens }: Look,
  record: RecordState,
  values: readonly Cell[],
  parents: ReadonlyMap<string, string>,
): Difference['fields'] {
  const view = record.views[lens.system];
  return entity.fields.flatMap((field, f) => {
    const told = values[f];
    if (told === undefined) return [];
    const unit = entity.units[entity.unitOf[f] ?? -1]?.name ?? '';
    if (record.held?.[unit] !== undefined) return [];
    const row: Value =
      field.ref === null || told === null
        ? told
        : (parents.get(`${field.ref}\u0000${told}`) ?? told);
    const wanted = (lens.writes[f] ? record.values[f] : view?.values[f]) ?? null;
    const stored = view?.values[f] === row && view?.represents?.[f] === wanted;
    if (row === wanted || stored) return [];
    return [{ name: field.name, pii: field.pii, row, record: wanted }];
  });
}
