import type { Connector, ConnectorContext, Needs, System } from '../../src/contract/connector.ts';
import type { TableSpec } from '../../src/model/change.ts';
import { openApplier } from './applier.ts';
import { type MysqlOptions, optionsSchema, parseOptions } from './config.ts';
import { openCopier } from './copier.ts';
import { describeTables } from './describe.ts';
import { asCarrickError } from './errors.ts';
import { preflight } from './preflight.ts';
import { openSession, type Session } from './session.ts';
import { setup, setupScript } from './setup.ts';
import { openSource } from './source.ts';

/** MySQL 8.0 and later, MariaDB 10.6 and later. */
export const connector: Connector = {
  type: 'mysql',
  parse: parseOptions,
  optionsSchema,
  connect: (options, context) => connect(options as MysqlOptions, context),
};

function connect(options: MysqlOptions, context: ConnectorContext): System {
  const ask = async <T>(question: (session: Session) => Promise<T>): Promise<T> => {
    try {
      await using session = await openSession(options);
      return await question(session);
    } catch (error) {
      throw asCarrickError(error, 'source');
    }
  };
  return {
    describe: (tables) => ask((session) => describeTables(session, options.database, tables)),
    preflight: (needs: Needs) => preflight(options, needs),
    setupScript: (needs: Needs) => setupScript(options, needs),
    setup: (needs: Needs) => ask((session) => setup(session, needs)),
    source: (tables: readonly TableSpec[]) => openSource(options, tables, context),
    applier: async () => openApplier(options, context.instance),
    copier: async (feed: string) => openCopier(options, context.instance, feed),
    clockOffset: () => ask(clockOffset),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function clockOffset(session: Session): Promise<number> {
  const before = Date.now();
  const [row] = await session.rows('SELECT UNIX_TIMESTAMP(NOW(6)) * 1000000');
  const ours = (before + Date.now()) / 2;
  return Math.round(Number(row![0]) - ours * 1000);
}
