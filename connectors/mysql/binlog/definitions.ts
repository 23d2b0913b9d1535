/** What statements in the log do to transactions and to the tables that are followed. */
import { halt } from '../../../src/errors.ts';
import type { Assembler } from './assembler.ts';
import type { Followed } from './plan.ts';
import type { Plans } from './plans.ts';
import type { Statement, TableName } from './statement.ts';
import type { Tables } from './tables.ts';

export function statementReader(
  tables: Tables,
  plans: Plans,
  assembler: Assembler,
): (statement: Statement) => void {
  return (statement) => {
    const { open } = assembler;
    switch (statement.verb) {
      case 'begin':
        if (open !== null) open.bracketed = true;
        break;
      case 'commit':
        assembler.commit();
        break;
      case 'rollback':
        assembler.rollback();
        break;
      case 'rollbackTo':
        if (open !== null && (open.changes.length > 0 || open.begun)) throw savepoint();
        break;
      case 'xa':
        // The outcome of a prepared transaction that changed nothing of ours.
        if (statement.action === 'COMMIT' || statement.action === 'ROLLBACK') assembler.commit();
        else if (open !== null) open.bracketed = true;
        break;
      default:
        markStale(statement, tables, plans);
        if (open === null) break;
        if (open.rows >= open.skip) define(statement, tables, plans, assembler);
        if (statement.verb === 'createWithRows') open.bracketed = true;
        if (!open.bracketed) assembler.commit();
    }
  };
}

const followedIn = (tables: Tables, names: readonly TableName[]): Followed[] =>
  names.flatMap(({ schema, table }) => tables.find(schema, table) ?? []);

/** The tables are looked up again when their next rows come. */
function markStale(statement: Statement, tables: Tables, plans: Plans): void {
  if (statement.verb === 'other' || statement.verb === 'dml') return;
  const touched =
    statement.verb === 'dropSchema'
      ? tables.inSchema(statement.schema)
      : 'tables' in statement
        ? followedIn(tables, statement.tables)
        : 'moves' in statement
          ? followedIn(tables, statement.moves.flat())
          : [];
  for (const table of touched) table.stale = true;
  if (touched.length > 0) plans.forget();
}

function define(statement: Statement, tables: Tables, plans: Plans, assembler: Assembler): void {
  const announce = (touched: readonly Followed[], detail: string): void => {
    for (const table of touched) plans.announce(table, detail);
  };
  switch (statement.verb) {
    case 'dml': {
      const [table] = tables.amongWords(statement.words, statement.schema);
      if (table !== undefined) throw statementFormat(table.spec.name);
      break;
    }
    case 'truncate':
      for (const { spec, mark } of followedIn(tables, statement.tables)) {
        if (mark) continue;
        assembler.add({ table: spec, op: 'truncate', row: [], old: null }, 0);
      }
      break;
    case 'drop':
      announce(followedIn(tables, statement.tables), 'the table was dropped');
      break;
    case 'dropSchema':
      announce(tables.inSchema(statement.schema), 'its database was dropped');
      break;
    case 'partition':
      announce(
        followedIn(tables, statement.tables),
        'rows came or went with a partition or tablespace',
      );
      break;
    case 'rename': {
      // Only the outcome counts: a swap moves a table away and another one into its place.
      const away = new Map<Followed, boolean>();
      for (const [from, to] of statement.moves) {
        for (const table of followedIn(tables, [from])) away.set(table, true);
        for (const table of followedIn(tables, [to])) away.set(table, false);
      }
      for (const [table, gone] of away) {
        if (gone) plans.announce(table, 'the table was renamed');
      }
    }
  }
}

const statementFormat = (table: string) =>
  halt(
    'source.unsupported',
    `A change of ${table} is in the log as its statement, not as its rows`,
    'Set binlog_format=ROW, also for sessions that set it themselves; then `carrick rejoin`.',
  );

const savepoint = () =>
  halt(
    'source.unsupported',
    'The log takes a part of a transaction back (ROLLBACK TO a savepoint)',
    'Do not mix engines in a transaction on mapped tables; then `carrick rejoin`.',
  );
