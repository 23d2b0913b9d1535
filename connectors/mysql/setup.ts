import type { Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { quoteTable } from './describe.ts';
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
  return [
    CREATE_DATABASE,
    CREATE_MARK,
    `-- ${account}: write the host that the account was created with in place of %`,
    `GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${account}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${MARK_TABLE} TO ${account}`,
    ...tables,
  ];
}

/** Creates the database and the table of the mark where they are missing; says what it created. */
export async function setup(session: Session): Promise<string[]> {
  const done: string[] = [];
  if (!(await exists(session, 'schemata', `schema_name = '${MARK_DATABASE}'`))) {
    await session.run(CREATE_DATABASE);
    done.push(`created database ${MARK_DATABASE}`);
  }
  if (!(await markExists(session))) {
    await session.run(CREATE_MARK);
    done.push(`created table ${MARK_TABLE}`);
  }
  return done;
}

export const markExists = (session: Session): Promise<boolean> =>
  exists(session, 'tables', `table_schema = '${MARK_DATABASE}' AND table_name = 'carrick_mark'`);

async function exists(session: Session, view: string, condition: string): Promise<boolean> {
  const rows = await session.rows(`SELECT 1 FROM information_schema.${view} WHERE ${condition}`);
  return rows.length > 0;
}
