import type { Finding, Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { describeTables, type MysqlTable, quoteTable } from './describe.ts';
import { note, problem } from './finding.ts';
import { ORDER_FIX, orderFaults } from './key-order.ts';
import type { Session } from './session.ts';
import { MARK_TABLE, markExists } from './setup.ts';
import { quoteName } from './types.ts';

type Need = Needs['tables'][number];

export async function checkMark(session: Session): Promise<Finding[]> {
  if (await markExists(session)) return [];
  return [
    problem(
      'mark',
      `table ${MARK_TABLE} does not exist, or this account may not read it`,
      'Run `carrick setup`, or have an administrator run the statements that it prints.',
    ),
  ];
}

export async function checkTables(
  session: Session,
  { database }: MysqlOptions,
  { tables }: Needs,
): Promise<Finding[]> {
  const names = [...new Set(tables.map(({ name }) => name))];
  const described = await describeTables(session, database, names);
  const cascades = await cascadesInto(session, described, database);
  return tables.flatMap((need) => {
    const table = described.find(({ name }) => name === need.name);
    if (table !== undefined) return [...checkTable(need, table), ...(cascades.get(table) ?? [])];
    return problem(
      'table',
      `table ${need.name} does not exist, or this account may not read it`,
      'Correct the mapping, or grant SELECT on the table.',
    );
  });
}

const CASCADING =
  /^\s*CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY .* ON (?:DELETE|UPDATE) (?:CASCADE|SET )/gim;

/**
 * What InnoDB changes in a child because of its parent is in no log (MariaDB: "Replication and
 * Foreign Keys"), but where the SQL layer of a later MySQL does it. The table's own definition is
 * asked, since the view of constraints hides them from an account with few rights.
 */
async function cascadesInto(
  session: Session,
  tables: readonly MysqlTable[],
  database: string,
): Promise<Map<MysqlTable, Finding[]>> {
  const notes = new Map<MysqlTable, Finding[]>();
  const settings = await session.rows(`SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'`);
  if (settings.some(([, value]) => value === 'OFF')) return notes;
  for (const table of tables.filter(({ engine }) => engine === 'InnoDB')) {
    const name = quoteTable(table.name, database);
    const [row] = await session.rows(`SHOW CREATE TABLE ${name}`);
    const constraints = [...(row?.[1] ?? '').matchAll(CASCADING)].map(([, constraint]) =>
      note(
        'cascade',
        `what foreign key ${constraint} changes in ${table.name} is not logged: it goes unseen`,
        'Let the application change the rows itself, with ON DELETE and ON UPDATE RESTRICT.',
      ),
    );
    notes.set(table, constraints);
  }
  return notes;
}

function checkTable(need: Need, table: MysqlTable): Finding[] {
  const findings: Finding[] = [];
  for (const name of need.columns) {
    if (table.columns.some((column) => column.name === name)) continue;
    const fix = 'Correct the mapping, or grant SELECT on the column.';
    findings.push(problem('column', `table ${need.name} has no column ${name}`, fix));
  }
  for (const fault of orderFaults(need, table)) findings.push(problem('key', fault, ORDER_FIX));
  for (const { name, kind } of table.columns) {
    if (!need.key.includes(name)) continue;
    if (kind === 'set' || kind === 'json') {
      const fix = 'Name another unique key in the mapping.';
      findings.push(problem('key', `key column ${name} of ${need.name} is a ${kind}`, fix));
    }
  }
  if (need.written && table.engine !== 'InnoDB') {
    findings.push(
      problem(
        'engine',
        `table ${need.name} is of engine ${table.engine || 'VIEW'}: writes to it cannot be undone`,
        `ALTER TABLE ${need.name} ENGINE = InnoDB.`,
      ),
    );
  }
  return findings;
}

const DENIED = [1142, 1143];
const NO_DEFAULT = 1364;

/**
 * Whether the written tables and the mark may be written: rights are checked for a statement that
 * is only explained, too.
 */
export async function checkWriteGrants(
  session: Session,
  { database }: MysqlOptions,
  { tables }: Needs,
): Promise<Finding[]> {
  const written = tables.filter((need) => need.written).map(({ name }) => name);
  const names = [...new Set([...written, MARK_TABLE])];
  const described = await describeTables(session, database, names);
  const findings: Finding[] = [];
  for (const table of described) findings.push(...(await tryWrites(session, database, table)));
  return findings;
}

async function tryWrites(
  session: Session,
  database: string,
  table: MysqlTable,
): Promise<Finding[]> {
  const name = quoteTable(table.name, database);
  const [column] = table.columns.filter(({ readOnly }) => !readOnly);
  if (column === undefined) return [];
  const quoted = quoteName(column.name);
  const statements = {
    INSERT: `EXPLAIN INSERT INTO ${name} (${quoted}) SELECT ${quoted} FROM ${name} WHERE 1 = 0`,
    UPDATE: `EXPLAIN UPDATE ${name} SET ${quoted} = ${quoted} WHERE 1 = 0`,
    DELETE: `EXPLAIN DELETE FROM ${name} WHERE 1 = 0`,
  };
  const denied: string[] = [];
  for (const [right, sql] of Object.entries(statements)) {
    try {
      await session.rows(sql);
    } catch (error) {
      const { errno = 0 } = error as { errno?: number };
      // Rights are checked before columns: one without a default says that there are any.
      if (errno === NO_DEFAULT) continue;
      if (!DENIED.includes(errno)) throw error;
      denied.push(right);
    }
  }
  if (denied.length === 0) return [];
  const rights = denied.join(', ');
  const fix = `GRANT ${rights} ON ${table.name} TO the account of Carrick.`;
  return [problem('grants', `this account lacks ${rights} on ${table.name}`, fix)];
}
