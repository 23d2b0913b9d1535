import type { IdentityKey, Ledger } from '../contract/ledger.ts';
import type { RecordId } from '../model/record.ts';
import { generatedText } from '../reconcile/echo.ts';
import { identityOf } from '../reconcile/identity.ts';
import { linkOf, readRow } from '../reconcile/row.ts';
import type { RowEvent } from '../reconcile/row-event.ts';
import { type Loaded, linkText, remember } from '../reconcile/working.ts';
import type { Unit } from './pass.ts';

/**
 * What nearly every batch needs, so that its first pass is its last: the rows' records and parked
 * rows, and of rows that nobody knows the records that may be theirs.
 */
export async function preload(
  ledger: Ledger,
  loaded: Loaded,
  units: readonly Unit[],
): Promise<void> {
  const links = units.flatMap(({ events }) => events.map((event) => linkOf(event, event.oldKey)));
  const records = units.flatMap(echoedRecords);
  if (links.length === 0 && records.length === 0) return;
  const query = { links, parkedRows: links, records };
  remember(loaded, query, await ledger.find(query));
  const identities = units.flatMap(({ events, echo }) =>
    echo === null ? events.flatMap((event) => identitiesOf(event, loaded)) : [],
  );
  if (identities.length === 0) return;
  remember(loaded, { identities }, await ledger.find({ identities }));
}

/** The records of rows that our inserts made, and at the end of those that did not show. */
function echoedRecords({ echo, events, complete }: Unit): RecordId[] {
  if (echo === null) return [];
  const made = events.flatMap(({ entity, key }) => {
    return echo.keys.get(generatedText(entity.name, key)) ?? [];
  });
  if (!complete || made.length + echo.shown.size >= echo.sending.entries.length) return made;
  const left = echo.sending.entries.filter(({ seq }) => !echo.shown.has(seq));
  return [...made, ...left.map(({ record }) => record)];
}

/** The match tuples of a full row without a link; of untranslated references they name nothing. */
function identitiesOf(event: RowEvent, loaded: Loaded): IdentityKey[] {
  const { entity, cells } = event;
  const link = linkText(linkOf(event, event.oldKey));
  if (loaded.links.get(link) != null || loaded.parkedRows.get(link) != null) return [];
  if (cells === null || cells.includes(undefined)) return [];
  const read = readRow({ event, record: null, parked: null }, cells);
  if (read.kind !== 'row') return [];
  return entity.match.flatMap((_, alternative) => {
    const value = identityOf(entity, alternative, read.values);
    return value === null ? [] : [{ entity: entity.name, alternative, value }];
  });
}
