import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';

export type Columns = SQLOutputValue[];

/** A statement whose rows come as arrays, which are cheaper than objects. */
export function rows({ db }: { readonly db: DatabaseSync }, sql: string): StatementSync {
  const statement = db.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

export const getRow = (statement: StatementSync, ...values: (number | string | null)[]) =>
  statement.get(...values) as unknown as Columns | undefined;

export const allRows = (statement: StatementSync, ...values: (number | string)[]) =>
  statement.all(...values) as unknown as Columns[];
