import type { LinkKey, Parked, ParkedRow } from '../contract/ledger.ts';
import type { Forgotten } from '../contract/operator.ts';
import { retry } from '../errors.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { FORGOTTEN } from '../reconcile/set-aside.ts';
import type { Decisions } from './decisions.ts';
import { everyParked } from './parked.ts';

/** A record by its number, and rows that may be parked without one. */
export interface Forgettable {
  readonly entity: string;
  readonly record: RecordId | null;
  readonly links: readonly LinkKey[];
}

/**
 * Erases a record and all that was kept of it. Of each row that it had, or that was parked, its key
 * stays as a parked item without values, so that a later change of it makes no new record; the item
 * goes when the row is deleted. Errors: `operator.on_its_way` (retry) while a row of the record is
 * being inserted, because nobody knows its key yet.
 */
export function forget(decisions: Decisions, what: Forgettable): Promise<Forgotten> {
  const { ledger, numbers, refusals } = decisions;
  return decisions.exclusively(async () => {
    const { records } = await ledger.find({ records: what.record === null ? [] : [what.record] });
    const record = records[0] ?? null;
    if (record !== null) await checkInserts(decisions, record);
    const links = record === null ? what.links : linksOf(record);
    const found = await ledger.find({ parkedRows: links });
    const parked = found.parkedRows.filter((row) => row !== null);
    const removed = [...parked, ...(await deliveriesOf(decisions, what))];
    const rows = record === null ? parked : links;
    const put = rows.map(({ system, entity, key }, i): ParkedRow => {
      const base = { id: numbers.case + i, system, entity, since: Date.now() * 1000, key };
      const detail = 'its record was forgotten: its changes are not read';
      return { ...base, kind: 'row', reason: FORGOTTEN, detail, cells: null, waits: null };
    });
    const journal = what.record === null ? 0 : await journalOf(decisions, what.entity, what.record);
    await ledger.commit({
      erased: record === null ? [] : [record.id],
      forgotten: what.record === null ? [] : [{ entity: what.entity, record: what.record }],
      parked: { put, remove: removed.map(({ id }) => id) },
    });
    await ledger.synced();
    numbers.case += put.length;
    for (const item of removed) {
      for (const [text, id] of refusals) if (id === item.id) refusals.delete(text);
    }
    const { entity } = what;
    const systems = rows.map(({ system }) => system);
    return { entity, record: what.record, rows: systems, journal, parked: removed.length };
  });
}

/** By system, whichever was read first: they are told in this order. */
const linksOf = ({ entity, views }: RecordState): LinkKey[] =>
  Object.entries(views)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([system, { status, key }]) => (status === 'linked' ? [{ system, entity, key }] : []));

async function checkInserts({ ledger }: Decisions, { outbox }: RecordState): Promise<void> {
  const entries = await ledger.desk.outbox(Object.values(outbox));
  const insert = entries.find(({ batch, sent }) => batch !== null && sent?.op === 'insert');
  if (insert === undefined) return;
  throw retry(
    'operator.on_its_way',
    `a row of this record is just being inserted into ${insert.system}`,
    'try again once it has arrived: `carrick status` shows what is on its way',
  );
}

async function deliveriesOf({ ledger }: Decisions, { entity, record }: Forgettable) {
  const found: Parked[] = [];
  if (record === null) return found;
  for await (const item of everyParked(ledger, entity)) {
    if (item.kind === 'delivery' && item.record === record) found.push(item);
  }
  return found;
}

async function journalOf({ ledger }: Decisions, entity: string, record: RecordId) {
  return (await ledger.desk.history(entity, record, Number.MAX_SAFE_INTEGER)).length;
}
