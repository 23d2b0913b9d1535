import type { Pool } from 'pg';
import { queryRows } from './session.ts';
import { builtInCodec, type Codec, codecOf, OTHER, TYPES_SQL, type TypeRow } from './types.ts';

/** The types that the log and query results name by OID, looked up once each. */
export interface Types {
  /** Undefined: not looked up yet. */
  get(oid: number): Codec | undefined;
  /** A type that is gone by now is of kind `other`. */
  load(oids: readonly number[]): Promise<void>;
}

export function createTypes(pool: Pool): Types {
  const known = new Map<number, Codec>();
  return {
    get: (oid) => builtInCodec(oid) ?? known.get(oid),
    async load(oids) {
      const rows = await queryRows<TypeRow>(pool, TYPES_SQL, [oids]);
      for (const oid of oids) known.set(oid, OTHER);
      for (const row of rows) known.set(Number(row.oid), codecOf(row));
    },
  };
}
