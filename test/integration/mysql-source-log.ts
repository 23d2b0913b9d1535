/** A MariaDB, a source on it, and what the source has read. */
import { openSource } from '../../connectors/mysql/source.ts';
import type { Source } from '../../src/contract/source.ts';
import type { Change, SourceBatch, TableSpec, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import type { mysqlClient, TestServer } from '../support/index.ts';

export type Client = Awaited<ReturnType<typeof mysqlClient>>;

export function optionsOf(server: TestServer) {
  const url = new URL(server.url);
  return {
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: url.password,
    database: url.pathname.slice(1),
  };
}

export const sourceOn = (server: TestServer, tables: readonly TableSpec[]): Promise<Source> =>
  openSource(optionsOf(server), tables, { system: 'erp', instance: 'main' });

export const table = (name: string, key: string[], columns: string[]): TableSpec => ({
  name,
  key,
  columns,
});

const END = 'end_of_test';

/** Makes the table whose insert ends {@link readToEnd}. */
export async function makeEnd(client: Client): Promise<void> {
  await client.query(`CREATE TABLE IF NOT EXISTS ${END} (id INT AUTO_INCREMENT PRIMARY KEY)`);
}

/**
 * Every batch from `from` until a row written now has come, without it. The specification must
 * hold {@link endTable}.
 */
export async function readToEnd(
  source: Source,
  client: Client,
  from: Position,
): Promise<SourceBatch[]> {
  await client.query(`INSERT INTO ${END} VALUES ()`);
  const batches: SourceBatch[] = [];
  for await (const batch of source.tail(from)) {
    const at = batch.transactions.findIndex(({ changes }) => changes.some(isEnd));
    if (at < 0) batches.push(batch);
    else {
      batches.push({ ...batch, transactions: batch.transactions.slice(0, at) });
      return batches;
    }
  }
  throw new Error('the source ended');
}

export const endTable = table(END, ['id'], ['id']);

const isEnd = (change: Change): boolean => change.table.name === END;

/** The parts of each transaction put together, in order. */
export function whole(batches: readonly SourceBatch[]): Transaction[] {
  const transactions: Transaction[] = [];
  for (const part of batches.flatMap((batch) => batch.transactions)) {
    const last = transactions.at(-1);
    if (last === undefined || last.complete || last.id !== part.id) transactions.push(part);
    else {
      const changes = [...last.changes, ...part.changes];
      transactions[transactions.length - 1] = { ...last, changes, complete: part.complete };
    }
  }
  return transactions;
}

export const changesOf = (batches: readonly SourceBatch[]): Change[] =>
  batches.flatMap(({ transactions }) => transactions.flatMap(({ changes }) => changes));

/** A change as one line: operation, table and cells. */
export function lineOf({ table: { name }, op, row, old, detail }: Change): string {
  const cells = (values: readonly unknown[] | null) =>
    values === null ? '' : ` ${values.map((value) => value ?? String(value)).join('|')}`;
  return `${op} ${name}${cells(row)}${old === null ? '' : ` <${cells(old)}`}${
    detail === undefined ? '' : ` (${detail})`
  }`;
}
