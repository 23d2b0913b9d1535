import type { Finding, Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { describeTables, isIndexed, type MysqlTable, quoteTable } from './describe.ts';
import { note, problem } from './finding.ts';
import { ORDER_FIX, orderFaults } from './key-order.ts';
import type { Session } from './session.ts';
import { ownTables, tableExists } from './setup.ts';
import { quoteName } from './types.ts';

type Need = Needs['tables'][number];
type Wanted = Pick<Need, 'name' | 'key' | 'columns'>;

/** Whether `setup` has made what the needs take. */
export async function checkOwnTables(session: Session, needs: Needs): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, check } of ownTables(needs)) {
    if (await tableExists(session, name)) continue;
    findings.push(
      problem(
        check,
        `table ${name} does not exist, or this account may not read it`,
        'Run `carrick setup`, or have an administrator run the statements that it prints.',
      ),
    );
  }
  return findings;
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
    return missing(need.name);
  });
}

/** What feeds write: they need an index to write by, and may not write what the server computes. */
export async function checkCopies(
  session: Session,
  { database }: MysqlOptions,
  { copies = [] }: Needs,
): Promise<Finding[]> {
  const names = [...new Set(copies.map(({ name }) => name))];
  const described = await describeTables(session, database, names);
  return copies.flatMap((need) => {
    const table = described.find(({ name }) => name === need.name);
    if (table === undefined) return missing(need.name);
    const computed = table.columns.filter(
      ({ name, readOnly }) => readOnly && need.columns.includes(name),
    );
    const key = need.key.join(', ');
    return [
      ...absentColumns(need, table),
      ...computed.map(({ name }) =>
        problem(
          'generated',
          `column ${name} of ${need.name} is generated: nobody can write it`,
          'Leave the column out of the mapping of this system.',
        ),
      ),
      ...(isIndexed(table, need.key)
        ? []
        : [
            problem(
              'index',
              `no unique index of ${need.name} has exactly the key columns (${key})`,
              `CREATE UNIQUE INDEX carrick_key ON ${need.name} (${key}), or map another key.`,
            ),
          ]),
      ...unorderedCopies(need, table),
      ...unfitKeys(need, table),
      ...engineFault(table),
    ];
  });
}

/** Writing by key takes no order; going through what is there does. */
const unorderedCopies = (need: Wanted, table: MysqlTable): Finding[] => {
  const faults = isIndexed(table, need.key) ? orderFaults(need, table) : [];
  return faults.map((fault) =>
    note('key', `${fault}: \`carrick verify\` and a TRUNCATE cannot go through it`, ORDER_FIX),
  );
};

const missing = (name: string): Finding =>
  problem(
    'table',
    `table ${name} does not exist, or this account may not read it`,
    'Correct the mapping, or grant SELECT on the table.',
  );

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
  return [
    ...absentColumns(need, table),
    ...orderFaults(need, table).map((fault) => problem('key', fault, ORDER_FIX)),
    ...unfitKeys(need, table),
    ...(need.written ? engineFault(table) : []),
  ];
}

const absentColumns = ({ name, columns }: Wanted, table: MysqlTable): Finding[] =>
  columns
    .filter((wanted) => !table.columns.some((column) => column.name === wanted))
    .map((column) => {
      const fix = 'Correct the mapping, or grant SELECT on the column.';
      return problem('column', `table ${name} has no column ${column}`, fix);
    });

const unfitKeys = (need: Wanted, { columns }: MysqlTable): Finding[] =>
  columns
    .filter(({ name, kind }) => need.key.includes(name) && (kind === 'set' || kind === 'json'))
    .map(({ name, kind }) => {
      const fix = 'Name another unique key in the mapping.';
      return problem('key', `key column ${name} of ${need.name} is a ${kind}`, fix);
    });

const engineFault = ({ name, engine }: MysqlTable): Finding[] =>
  engine === 'InnoDB'
    ? []
    : [
        problem(
          'engine',
          `table ${name} is of engine ${engine || 'VIEW'}: writes to it cannot be undone`,
          `ALTER TABLE ${name} ENGINE = InnoDB.`,
        ),
      ];

const DENIED = [1142, 1143];
const NO_DEFAULT = 1364;

type Right = 'INSERT' | 'UPDATE' | 'DELETE';
const ALL: readonly Right[] = ['INSERT', 'UPDATE', 'DELETE'];

/**
 * Whether the written tables and Carrick's own may be written: rights are checked for a statement
 * that is only explained, too.
 */
export async function checkWriteGrants(
  session: Session,
  { database }: MysqlOptions,
  needs: Needs,
): Promise<Finding[]> {
  const wanted = new Map<string, readonly Right[]>();
  for (const { name, removes } of needs.copies ?? []) {
    if (wanted.get(name) !== ALL) wanted.set(name, removes ? ALL : ['INSERT', 'UPDATE']);
  }
  const written = needs.tables.filter((need) => need.written);
  for (const { name } of [...written, ...ownTables(needs)]) wanted.set(name, ALL);
  const findings: Finding[] = [];
  for (const table of await describeTables(session, database, [...wanted.keys()])) {
    findings.push(...(await tryWrites(session, database, table, wanted.get(table.name) ?? ALL)));
  }
  return findings;
}

async function tryWrites(
  session: Session,
  database: string,
  table: MysqlTable,
  rights: readonly Right[],
): Promise<Finding[]> {
  const name = quoteTable(table.name, database);
  const [column] = table.columns.filter(({ readOnly }) => !readOnly);
  if (column === undefined) return [];
  const quoted = quoteName(column.name);
  const statements: Readonly<Record<Right, string>> = {
    INSERT: `EXPLAIN INSERT INTO ${name} (${quoted}) SELECT ${quoted} FROM ${name} WHERE 1 = 0`,
    UPDATE: `EXPLAIN UPDATE ${name} SET ${quoted} = ${quoted} WHERE 1 = 0`,
    DELETE: `EXPLAIN DELETE FROM ${name} WHERE 1 = 0`,
  };
  const denied: string[] = [];
  for (const right of rights) {
    try {
      await session.rows(statements[right]);
    } catch (error) {
      const { errno = 0 } = error as { errno?: number };
      // Rights are checked before columns: one without a default says that there are any.
      if (errno === NO_DEFAULT) continue;
      if (!DENIED.includes(errno)) throw error;
      denied.push(right);
    }
  }
  if (denied.length === 0) return [];
  const lacked = denied.join(', ');
  const fix = `GRANT ${lacked} ON ${table.name} TO the account of Carrick.`;
  return [problem('grants', `this account lacks ${lacked} on ${table.name}`, fix)];
}
