import type { Connector, ConnectorContext, System } from '../../src/contract/connector.ts';
import { createApplier } from './applier.ts';
import {
  connectionOf,
  optionsSchema,
  type PostgresOptions,
  parseOptions,
  roleOf,
} from './config.ts';
import { createCopier } from './copier.ts';
import { describeTables } from './describe.ts';
import { preflight } from './preflight.ts';
import { openPool, queryRows } from './session.ts';
import { setup, setupScript } from './setup.ts';
import { createSource } from './source.ts';
import type { Scratch } from './streams.ts';

export const connector: Connector = {
  type: 'postgres',
  parse: parseOptions,
  optionsSchema,
  connect: (options, context) => connect(options as PostgresOptions, context),
};

function connect(options: PostgresOptions, { instance, scratch }: ConnectorContext): System {
  const room: Scratch = { folder: scratch ?? null };
  const connection = connectionOf(options);
  const name = `carrick_${instance}`;
  const pool = openPool(connection);
  return {
    async describe(tables) {
      const described = await describeTables(pool, tables);
      return described.map(({ columns, ...table }) => ({
        ...table,
        columns: columns.map(({ codec: _, castType: __, generated: ___, ...column }) => column),
      }));
    },
    preflight: (needs) => preflight(pool, name, needs),
    setupScript: (needs) => setupScript(name, roleOf(options), needs),
    setup: (needs) => setup(pool, name, needs),
    source: async (tables) => createSource({ pool, connection, name, tables, scratch: room }),
    applier: async () => createApplier({ pool, connection, instance }),
    copier: async (feed) => createCopier({ pool, connection, instance, feed }),
    async clockOffset() {
      const before = now();
      const rows = await queryRows<{ at: string }>(
        pool,
        'select (extract(epoch from clock_timestamp()) * 1000000)::bigint as at',
      );
      return Number(rows[0]?.at) - (before + now()) / 2;
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
    },
  };
}

/** Our clock, µs. */
function now(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}
