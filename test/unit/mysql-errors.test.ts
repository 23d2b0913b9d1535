import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../connectors/mysql/config.ts';
import { asCarrickError, messageWithoutValues, refusalOf } from '../../connectors/mysql/errors.ts';

const server = (errno: number, sqlMessage: string, sqlState = 'HY000'): Error =>
  Object.assign(new Error(sqlMessage), { errno, code: 'ER_X', sqlState, sqlMessage });

test.each([
  [
    1062,
    "Duplicate entry 'se'cret' for key 'x' for key 'PRIMARY'",
    "Duplicate entry for key 'PRIMARY'",
  ],
  [
    1366,
    "Incorrect integer value: 'secret' for column `a`.`b`.`c` at row 1",
    'Incorrect integer value for column `a`.`b`.`c` at row 1',
  ],
  [
    1366,
    "Incorrect string value: '\\xF0' for column 'c' at row 1",
    "Incorrect string value for column 'c' at row 1",
  ],
  [1292, "Truncated incorrect INTEGER value: 'sec: 'ret''", 'Truncated incorrect INTEGER value'],
  [
    1411,
    "Incorrect datetime value: 'secret' for function str_to_date",
    'Incorrect datetime value for function str_to_date',
  ],
  [
    1690,
    "BIGINT value is out of range in '(secret - 5)'",
    'BIGINT value is out of range in an expression',
  ],
  [1526, 'Table has no partition for value 4711', 'Table has no partition for value of the row'],
  [1644, 'Ada Lovelace may not buy', 'refused by a trigger or routine (SIGNAL)'],
  [1062, 'Ada Lovelace is there already', 'duplicate entry'],
  [1048, "Column 'name' cannot be null", "Column 'name' cannot be null"],
])('%i: %s', (errno, message, expected) => {
  expect(messageWithoutValues(server(errno, message))).toBe(expected);
});

test('only what concerns one row is a refusal', () => {
  expect(refusalOf(server(1406, "Data too long for column 'a'", '22001'))).toEqual({
    errno: 1406,
    code: '22001',
    reason: "Data too long for column 'a'",
  });
  for (const errno of [1213, 1205, 1142, 1146, 2013]) {
    expect(refusalOf(server(errno, 'x'))).toBeNull();
  }
});

describe('what becomes of an error', () => {
  test.each([
    [server(1213, 'Deadlock'), 'target.conflicted', 'retry'],
    [server(1205, 'Lock wait timeout'), 'target.conflicted', 'retry'],
    [server(1142, 'denied'), 'target.refused', 'halt'],
    [server(1054, 'Unknown column'), 'target.refused', 'halt'],
    [server(1045, 'Access denied'), 'target.denied', 'halt'],
    [server(1290, 'read-only'), 'target.unreachable', 'retry'],
    [
      Object.assign(new Error('x'), { errno: -111, code: 'ECONNREFUSED' }),
      'target.unreachable',
      'retry',
    ],
    [
      Object.assign(new Error('x'), { code: 'PROTOCOL_CONNECTION_LOST' }),
      'target.unreachable',
      'retry',
    ],
    [Object.assign(new Error('closed'), { fatal: true }), 'target.unreachable', 'retry'],
    [new TypeError('a bug of ours'), 'target.refused', 'halt'],
  ])('%s', (error, code, disposition) => {
    expect(asCarrickError(error, 'target')).toMatchObject({ code, disposition });
  });

  test('the cause does not carry the statement', () => {
    const error = Object.assign(server(1142, 'denied'), { sql: "INSERT 'secret'" });
    expect((asCarrickError(error, 'target').cause as Error).message).toBe('ER_X 1142');
    expect(asCarrickError(error, 'target').cause).not.toHaveProperty('sql');
  });
});

describe('options', () => {
  test('come from a URL or from separate keys', () => {
    expect(parseOptions({ url: 'mariadb://us%40er:p%3Aw@db.example:3307/erp' })).toEqual({
      ok: true,
      options: { host: 'db.example', port: 3307, user: 'us@er', password: 'p:w', database: 'erp' },
    });
    expect(parseOptions({ user: 'u', database: 'erp' })).toEqual({
      ok: true,
      options: { host: 'localhost', port: 3306, user: 'u', password: '', database: 'erp' },
    });
    expect(parseOptions({ url: 'mysql://u@[::1]/erp' })).toMatchObject({
      options: { host: '::1' },
    });
  });

  test.each([
    [{ url: 'postgres://u@h/d' }, ['url']],
    [{ url: 'mysql://u@h' }, ['url']],
    [{ url: 'mysql://h/d' }, ['url']],
    [{ url: 'mysql://u@h/d?ssl=true' }, ['url']],
    [{ url: 'mysql://u@h:99999/d' }, ['url']],
    [{ url: 'mysql://u%@h/d' }, ['url']],
    [{ url: 'mysql://u@h/d', prot: 1 }, ['prot']],
    [{ user: 'u', database: 'd', port: '3306' }, ['port']],
    [{ database: 'd' }, ['user']],
    [null, []],
  ])('%j is refused', (options, path) => {
    expect(parseOptions(options)).toMatchObject({ ok: false, problems: [{ path }] });
  });

  test('an option that is missing, and one that there is not, are called by name', () => {
    expect(parseOptions({ user: 'u', databse: 'd' })).toMatchObject({
      problems: [
        { path: ['database'], message: 'missing option "database"' },
        { path: ['databse'], known: expect.arrayContaining(['url', 'database', 'ssl-ca']) },
      ],
    });
  });
});
