import type { Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { quoteTable, splitName } from './describe.ts';
import type { Session } from './session.ts';

/** Where each installation says whose transaction follows: see the word mark in the design. */
export const MARK_DATABASE = 'carrick';
export const MARK_TABLE = 'carrick.carrick_mark';

const CREATE_DATABASE = `CREATE DATABASE IF NOT EXISTS ${MARK_DATABASE}`;
const CREATE_MARK = `CREATE TABLE IF NOT EXISTS ${MARK_TABLE} (
  instance VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  lane VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  batch BIGINT NOT NULL,
  PRIMARY KEY (instance, lane)
) ENGINE = InnoDB`;

/** Where each feed says how far it has come; its place is written with what it stands for. */
export const FEED_TABLE = 'carrick.carrick_feed';

/** A feed that has never committed has no position. */
const CREATE_FEED = `CREATE TABLE IF NOT EXISTS ${FEED_TABLE} (
  instance VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  feed VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  position LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  progress LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  PRIMARY KEY (instance, feed)
) ENGINE = InnoDB`;

/** A system that only takes copies: nobody follows its log, and nothing of ours is marked. */
export const readsLog = ({ tables, copies = [] }: Needs): boolean =>
  tables.length > 0 || copies.length === 0;

/** What `setup` creates beside the database. `check`: what preflight calls it. */
export const ownTables = ({ tables, copies = [] }: Needs) => [
  ...(readsLog({ tables, copies })
    ? [{ name: MARK_TABLE, check: 'mark', create: CREATE_MARK }]
    : []),
  ...(copies.length === 0 ? [] : [{ name: FEED_TABLE, check: 'feed', create: CREATE_FEED }]),
];

/**
 * For an administrator: what `setup` creates and the least rights that running takes. REPLICATION
 * CLIENT is what MariaDB calls BINLOG MONITOR; it takes both names.
 */
export function setupScript(options: MysqlOptions, needs: Needs): string[] {
  const account = `'${options.user.replace(/[\\']/g, '\\$&')}'@'%'`;
  const tables = needs.tables.map(({ name, written }) => {
    const rights = written ? 'SELECT, INSERT, UPDATE, DELETE' : 'SELECT';
    return `GRANT ${rights} ON ${quoteTable(name, options.database)} TO ${account}`;
  });
  const copies = (needs.copies ?? []).map(({ name, removes }) => {
    const rights = `SELECT, INSERT, UPDATE${removes ? ', DELETE' : ''}`;
    return `GRANT ${rights} ON ${quoteTable(name, options.database)} TO ${account}`;
  });
  const own = ownTables(needs);
  return [
    CREATE_DATABASE,
    ...own.map(({ create }) => create),
    `-- ${account}: write the host that the account was created with in place of %`,
    ...(readsLog(needs)
      ? [`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${account}`]
      : []),
    ...own.map(({ name }) => `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO ${account}`),
    ...tables,
    ...copies,
  ];
}

/** Creates the database and the tables of Carrick where they are missing; says what it created. */
export async function setup(session: Session, needs: Needs): Promise<string[]> {
  const done: string[] = [];
  if (!(await exists(session, 'schemata', `schema_name = '${MARK_DATABASE}'`))) {
    await session.run(CREATE_DATABASE);
    done.push(`created database ${MARK_DATABASE}`);
  }
  for (const { name, create } of ownTables(needs)) {
    if (await tableExists(session, name)) continue;
    await session.run(create);
    done.push(`created table ${name}`);
  }
  return done;
}

/** `name`: one of Carrick's own tables. */
export function tableExists(session: Session, name: string): Promise<boolean> {
  const [database, table] = splitName(name, MARK_DATABASE);
  return exists(session, 'tables', `table_schema = '${database}' AND table_name = '${table}'`);
}

async function exists(session: Session, view: string, condition: string): Promise<boolean> {
  const rows = await session.rows(`SELECT 1 FROM information_schema.${view} WHERE ${condition}`);
  return rows.length > 0;
}
