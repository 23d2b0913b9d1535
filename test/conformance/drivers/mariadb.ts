import type { RowDataPacket } from 'mysql2/promise';
import type { Value } from '../../../src/model/value.ts';
import { mysqlClient, type TestServer } from '../../support/index.ts';
import type { Driver, Server, Starter, User } from '../driver.ts';
import { types } from './mariadb-types.ts';

const IN_ORDER = 'InnoDB shows commits in the order of the log, before COMMIT returns';

/** All but what MySQL has otherwise. */
export const mariadb = (starter: Starter): Driver => ({
  name: 'MariaDB',
  connector: 'mariadb',
  waivers: {
    'snapshot: a chunk that missed what the log has already shown is read again': IN_ORDER,
  },
  types,
  sessions: [
    `set time_zone = '+00:00'`,
    `set time_zone = '+05:30', sql_mode = 'ANSI'`,
    `set time_zone = '-02:30', sql_mode = ''`,
  ],
  dialect: {
    generatedKey: 'int auto_increment primary key',
    fill: (table, from, to) => `insert into ${table} (id, name)
      select seq, concat('row ', seq, repeat('.', 60)) from seq_${from}_to_${to}`,
    trigger: (table, into) => `create trigger ${table}_i after insert on ${table} for each row
      insert into ${into} (id, name) values (new.id + 1000, new.name);
      create trigger ${table}_u after update on ${table} for each row
      insert into ${into} (id, name) values (new.id + 1000, new.name)`,
  },
  start: async () => serverOf(await starter({})),
  // Each has a server id of its own.
  stranger: async () => serverOf(await starter({})),
});

async function serverOf(control: TestServer): Promise<Server> {
  /** Connections that are not Carrick's. */
  const users = new Set<string>();
  const user = async (): Promise<User> => {
    const opened = await userOf(control.url);
    const [[id] = []] = await opened.rows('select connection_id()');
    users.add(id ?? '');
    return opened;
  };
  {
    await using admin = await user();
    await admin.run('alter database character set utf8mb4');
  }
  return {
    control,
    options: { url: control.url },
    user,
    async cut() {
      await using admin = await user();
      const open = await admin.rows(`select id from information_schema.processlist
          where command <> 'Daemon' and user <> 'system user'`);
      for (const [id] of open) {
        // It may have ended by itself by now.
        if (!users.has(id!)) await admin.run(`kill ${id}`).catch(() => {});
      }
    },
    forget: async () => {},
    hide: async () => {
      throw new Error(IN_ORDER);
    },
    [Symbol.asyncDispose]: () => control[Symbol.asyncDispose](),
  };
}

async function userOf(url: string): Promise<User> {
  const connection = await mysqlClient(url);
  return {
    run: async (sql) => void (await connection.query(sql)),
    async rows(sql) {
      const typeCast = (field: { string(): Value }): Value => field.string();
      const [rows] = await connection.query<RowDataPacket[][]>({
        sql,
        rowsAsArray: true,
        typeCast,
      });
      return rows as unknown as Value[][];
    },
    [Symbol.asyncDispose]: async () => connection.destroy(),
  };
}
