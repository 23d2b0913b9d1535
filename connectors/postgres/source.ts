import type { ClientConfig, Pool } from 'pg';
import pg from 'pg';
import type { Source } from '../../src/contract/source.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { BATCH_LIMITS, type BatchLimits } from './assembler.ts';
import { createTypes } from './catalog.ts';
import { readSlot } from './continuity.ts';
import { describeTables, type PostgresTable } from './describe.ts';
import { createDigester } from './digest.ts';
import { describeError } from './errors.ts';
import { formatPosition, parsePosition } from './position.ts';
import { createReader, estimateRows } from './read.ts';
import { CATALOG_PATH, sessionConfig } from './session.ts';
import type { Scratch } from './streams.ts';
import { Tail } from './tail.ts';

export interface SourceOptions {
  readonly pool: Pool;
  readonly connection: ClientConfig;
  /** Of the slot and of the publication. */
  readonly name: string;
  readonly tables: readonly TableSpec[];
  readonly limits?: BatchLimits;
  readonly scratch?: Scratch;
}

export function createSource(options: SourceOptions): Source {
  const { pool, name, tables } = options;
  const connection: ClientConfig & { replication: 'database' } = {
    ...sessionConfig(options.connection, CATALOG_PATH),
    replication: 'database',
  };
  const types = createTypes(pool);
  const read = createReader(pool, types);
  let declared: readonly PostgresTable[] | null = null;
  let tail: Tail | null = null;
  let disposed = false;

  return {
    async start() {
      const client = new pg.Client(connection);
      client.on('error', () => {});
      try {
        await client.connect();
        const { confirmed, ...history } = await readSlot(client, name);
        return formatPosition({ finished: confirmed, open: null, ...history });
      } catch (error) {
        throw describeError('source', error);
      } finally {
        await client.end().catch(() => {});
      }
    },
    async *tail(position: Position) {
      const from = parsePosition(position);
      declared ??= await describeTables(
        pool,
        tables.map((table) => table.name),
      );
      // Nobody is left to close what would be opened now.
      if (disposed) return;
      const limits = options.limits ?? BATCH_LIMITS;
      const scratch = options.scratch ?? { folder: null };
      const shared = { pool, connection, name, tables, types, scratch };
      tail = new Tail({ ...shared, declared, from, limits });
      yield* tail.batches();
    },
    settle(position) {
      tail?.settle(parsePosition(position).finished);
    },
    status: () =>
      tail?.status() ?? {
        lastByteAt: null,
        lagBytes: null,
        retainedBytes: null,
        retentionLimitBytes: null,
        retentionLimitSeconds: null,
      },
    read,
    estimate: (table) => estimateRows(pool, table),
    digest: createDigester(pool),
    async [Symbol.asyncDispose]() {
      disposed = true;
      await tail?.close();
    },
  };
}
