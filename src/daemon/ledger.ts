import type { Entity } from '../contract/entity.ts';
import { type Guard, guardOf } from '../ledger/privacy.ts';
import { openSqliteLedger, type SqliteLedger } from '../ledger/sqlite.ts';
import type { Parts } from './parts.ts';

/** The ledger of a configuration, sealed as its mappings want it. */
export const openLedger = (
  { config: { ledger }, entities }: Parts,
  onSync?: (seconds: number) => void,
): Promise<SqliteLedger> =>
  openSqliteLedger(ledger.path, {
    privacy: { keys: ledger.keys, guards: guardsOf(entities) },
    ...(onSync === undefined ? {} : { onSync }),
  });

export const guardsOf = (entities: readonly Entity[]): ReadonlyMap<string, Guard | null> =>
  new Map(entities.map((entity) => [entity.name, guardOf(entity)]));
