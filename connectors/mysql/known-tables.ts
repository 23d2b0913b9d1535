import { type CarrickError, halt } from '../../src/errors.ts';
import { describeTables, type MysqlTable } from './describe.ts';
import type { Session } from './session.ts';

/** Tables that are written, as they were when they were first asked for. */
export interface KnownTables {
  get(session: Session, name: string): Promise<MysqlTable>;
  forget(): void;
}

export function knownTables(database: string): KnownTables {
  const known = new Map<string, MysqlTable>();
  return {
    async get(session, name) {
      const seen = known.get(name);
      if (seen !== undefined) return seen;
      const [table] = await describeTables(session, database, [name]);
      if (table === undefined) throw missingTable(name);
      known.set(name, table);
      return table;
    },
    forget: () => known.clear(),
  };
}

const missingTable = (name: string): CarrickError =>
  halt(
    'target.refused',
    `table ${name} does not exist, or this account may not read it`,
    'Correct the table in the mapping, or grant SELECT, INSERT, UPDATE and DELETE on it.',
  );
