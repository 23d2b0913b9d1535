/** One installation of the connector on a real server, for the postgres tests. */
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { BATCH_LIMITS, type BatchLimits } from '../../connectors/postgres/assembler.ts';
import { connectionOf, type PostgresOptions } from '../../connectors/postgres/config.ts';
import { connector } from '../../connectors/postgres/connector.ts';
import { openPool } from '../../connectors/postgres/session.ts';
import { createSource } from '../../connectors/postgres/source.ts';
import type { Scratch } from '../../connectors/postgres/streams.ts';
import type { Needs, System } from '../../src/contract/connector.ts';
import type { Source } from '../../src/contract/source.ts';
import { CarrickError } from '../../src/errors.ts';
import type { Change, SourceBatch, TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { type PgClient, pgClient, type TestServer } from '../support/index.ts';

export interface Installation extends AsyncDisposable {
  readonly name: string;
  readonly db: PgClient;
  readonly system: System;
  readonly needs: Needs;
  /** A source with batch limits of the test's own. */
  source(limits?: Partial<BatchLimits>, scratch?: Scratch): Source;
}

let installations = 0;

/** Makes the tables, sets up, and opens what a test needs; each call is an instance of its own. */
export async function install(
  server: TestServer,
  ddl: string,
  tables: readonly TableSpec[],
): Promise<Installation> {
  const instance = `t${++installations}`;
  const db = await pgClient(server.url);
  await db.query(ddl);
  const system = systemAt(server.url, instance);
  const needs = { tables: tables.map((table) => ({ ...table, written: true })) };
  await system.setup(needs);
  const connection = connectionOf({ url: server.url });
  const pool = openPool(connection);
  const name = `carrick_${instance}`;
  return {
    name,
    db,
    system,
    needs,
    source: (limits, scratch = { folder: tmpdir() }) => {
      const all = { ...BATCH_LIMITS, ...limits };
      return createSource({ pool, connection, name, tables, limits: all, scratch });
    },
    async [Symbol.asyncDispose]() {
      await system[Symbol.asyncDispose]();
      await pool.end();
      // On a server that the test killed there is nothing to leave clean.
      await dropSlot(db, name)
        .then(() => db.query(`drop publication if exists ${name}`))
        .catch(() => {});
      await db.end();
    },
  };
}

export function systemAt(url: string, instance: string): System {
  const parsed = connector.parse({ url } satisfies PostgresOptions);
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join());
  return connector.connect(parsed.options, { system: 'crm', instance });
}

async function dropSlot(db: PgClient, name: string): Promise<void> {
  await db.query(
    'select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1',
    [name],
  );
  await db.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
    [name],
  );
}

/** The stream from `from`; waits while the server still holds the slot for the last reader. */
export async function* follow(source: Source, from: Position): AsyncGenerator<SourceBatch, void> {
  for (;;) {
    try {
      yield* source.tail(from);
      return;
    } catch (error) {
      if (!(error instanceof CarrickError) || error.code !== 'source.busy') throw error;
      await sleep(20);
    }
  }
}

/** Batches from `from` on until `done` says so of the changes so far, settled as they come. */
export async function collect(
  source: Source,
  from: Position,
  done: (changes: readonly Change[], batches: readonly SourceBatch[]) => boolean,
): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = [];
  for await (const batch of follow(source, from)) {
    batches.push(batch);
    source.settle(batch.position);
    if (done(changesOf(batches), batches)) break;
  }
  return batches;
}

export function changesOf(batches: readonly SourceBatch[]): Change[] {
  return batches.flatMap(({ transactions }) => transactions.flatMap(({ changes }) => changes));
}

/** Polls until `probe` is true; a test's own timeout ends a wait in vain. */
export async function until(probe: () => Promise<boolean>): Promise<void> {
  while (!(await probe())) await sleep(20);
}

export async function scalar(db: PgClient, sql: string, values: unknown[] = []): Promise<string> {
  const { rows } = await db.query({ text: sql, values, rowMode: 'array' });
  return rows[0]?.[0];
}
