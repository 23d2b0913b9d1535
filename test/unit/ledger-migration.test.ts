/**
 * A ledger of every earlier version, as that version wrote it, opened by this one. Each is SQL:
 * what a released migration did must not change any more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, expect, test } from 'vitest';
import type { Ledger } from '../../src/contract/ledger.ts';
import { NO_PRIVACY, type Privacy } from '../../src/ledger/privacy.ts';
import { MIGRATIONS } from '../../src/ledger/schema.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { entry, journal, parkedRow, record, source, view } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-migration-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const VERSION_1 = `
  CREATE TABLE names (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE fields (
    entity INTEGER NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (entity, ordinal)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tallies (
    kind TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (kind, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sources (
    system INTEGER PRIMARY KEY, position TEXT NOT NULL, open TEXT, snapshots TEXT NOT NULL
  ) STRICT;
  CREATE TABLE batches (system INTEGER PRIMARY KEY, batch INTEGER NOT NULL) STRICT;
  CREATE TABLE records (
    id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, data TEXT NOT NULL
  ) STRICT;
  CREATE TABLE links (
    system INTEGER NOT NULL, entity INTEGER NOT NULL, key TEXT NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (system, entity, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE identities (
    entity INTEGER NOT NULL, alternative INTEGER NOT NULL, value TEXT NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (entity, alternative, value, record)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX identities_record ON identities (record);
  CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY, system INTEGER NOT NULL, record INTEGER NOT NULL,
    entity INTEGER NOT NULL, since INTEGER NOT NULL, origin INTEGER NOT NULL,
    txn TEXT NOT NULL, waits INTEGER, batch INTEGER, attempts INTEGER NOT NULL, sent TEXT
  ) STRICT;
  CREATE INDEX outbox_ready ON outbox (system, seq) WHERE batch IS NULL AND waits IS NULL;
  CREATE INDEX outbox_waits ON outbox (system, waits) WHERE waits IS NOT NULL;
  CREATE INDEX outbox_sent ON outbox (system, batch, seq) WHERE batch IS NOT NULL;
  CREATE TABLE journal (
    id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, record INTEGER NOT NULL,
    state TEXT NOT NULL, data TEXT NOT NULL
  ) STRICT;
  CREATE INDEX journal_record ON journal (record, id);
  CREATE INDEX journal_entity ON journal (entity, id);
  CREATE INDEX journal_state ON journal (state, id);
  CREATE TABLE parked (
    id INTEGER PRIMARY KEY, system INTEGER NOT NULL, entity INTEGER NOT NULL,
    reason TEXT NOT NULL, key TEXT, waits_entity INTEGER, waits_key TEXT, data TEXT NOT NULL
  ) STRICT;
  CREATE INDEX parked_reason ON parked (reason, id);
  CREATE INDEX parked_row ON parked (system, entity, key) WHERE key IS NOT NULL;
  CREATE INDEX parked_waits ON parked (system, waits_entity, waits_key)
    WHERE waits_key IS NOT NULL;

  INSERT INTO names VALUES (1, 'crm'), (2, 'erp'), (3, 'customer'), (4, 'order');
  INSERT INTO fields VALUES (3, 0, 'no'), (3, 1, 'name'), (3, 2, 'note');
  INSERT INTO tallies VALUES ('next', 'record', 8), ('next', 'seq', 10), ('next', 'case', 4),
    ('records', 'customer', 1), ('outbox', 'erp', 2), ('open', 'customer', 0),
    ('parked', 'waiting', 1);
  INSERT INTO sources VALUES (1, '0/17', 't9', '{"public.accounts":"{\\"done\\":true}"}');
  INSERT INTO batches VALUES (2, 6);
  INSERT INTO records VALUES (7, 3, '[["C-1","Ada",null],"00.",[10,0,1],'
    || '[[1,"a-1",[2,0]],[2,"17",[1,"Ad",2,0],{"nick":"ADA"},{"1":"Ada"}]],[2,8],null,{"name":2}]');
  INSERT INTO links VALUES (1, 3, 'a-1', 7), (2, 3, '17', 7);
  INSERT INTO identities VALUES (3, 0, '["C-1"]', 7);
  INSERT INTO outbox VALUES (8, 2, 7, 3, 1008, 1, 't1', NULL, 6, 1, '["update",0,"Ada",null]'),
    (9, 2, 7, 3, 1009, 1, 't1', NULL, NULL, 0, NULL);
  INSERT INTO journal VALUES (2, 3, 7, 'resolved', '{"id":2,"at":5002,"entity":"customer",'
    || '"record":7,"unit":"name","kind":"conflict","state":"resolved","policy":"last_writer",'
    || '"winner":"crm","incoming":{"system":"crm","values":["a",null],'
    || '"stamp":{"wall":2,"counter":0,"system":"crm"}},'
    || '"standing":{"system":"erp","values":null,"stamp":null},"outcome":["a",null]}');
  INSERT INTO parked VALUES (3, 1, 4, 'waiting', 'o3', 3, 'c1', '{"id":3,"kind":"row",'
    || '"system":"crm","entity":"order","since":7,"reason":"waiting",'
    || '"detail":"waits for its customer","key":"o3","cells":{"id":"o3","note":null},'
    || '"waits":{"entity":"customer","key":"c1"}}');
`;

const VERSION_2 = `${VERSION_1}
  CREATE TABLE generations (
    generation INTEGER PRIMARY KEY, key TEXT NOT NULL, salt TEXT NOT NULL
  ) STRICT;
  CREATE TABLE guards (entity INTEGER PRIMARY KEY, guard TEXT NOT NULL) STRICT;
`;

const VERSION_3 = `
  ${VERSION_2}
  UPDATE tallies SET name = 'crm waiting' WHERE kind = 'parked';
`;

const VERSION_4 = `
  ${VERSION_3}
  DROP INDEX outbox_waits;
  CREATE INDEX outbox_waits ON outbox (waits) WHERE waits IS NOT NULL;
`;

/** By version, from 1; the newest is made by opening an empty file. */
const VERSIONS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4];

const ADA = record(7, {
  values: ['C-1', 'Ada', null],
  views: {
    crm: view('a-1', ['C-1', 'Ada', undefined]),
    erp: {
      ...view('17', ['C-1', 'Ad', undefined]),
      raw: { nick: 'ADA' },
      represents: { 1: 'Ada' },
    },
  },
  outbox: { erp: 8 },
  held: { name: 2 },
});
const SENT = entry(8, {
  record: 7,
  batch: 6,
  attempts: 1,
  sent: { op: 'update', values: [undefined, 'Ada', null] },
});
const STATE = {
  ...source('0/17', 't9'),
  snapshots: { 'public.accounts': '{"done":true}' },
};
const WAITING = parkedRow(3, { key: 'o3', cells: { id: 'o3', note: null } });

async function everything(ledger: Ledger) {
  const link = { system: 'erp', entity: 'customer', key: '17' };
  const { desk } = ledger;
  return {
    head: ledger.head(),
    found: await ledger.find({
      links: [link, { ...link, system: 'crm', key: 'a-1' }],
      identities: [{ entity: 'customer', alternative: 0, value: '["C-1"]' }],
      parkedRows: [{ system: 'crm', entity: 'order', key: 'o3' }],
    }),
    ready: await ledger.ready('erp', 0, 9),
    sent: await ledger.sent('erp', 6, 0, 9),
    history: await desk.history('customer', 7, 9),
    waiting: await desk.waitingFor({ system: 'crm', entity: 'customer', key: 'c1' }),
    counts: await desk.counts(),
    ordinals: await ledger.ordinals('customer', []),
  };
}

const EXPECTED: Awaited<ReturnType<typeof everything>> = {
  head: {
    positions: { crm: STATE },
    batches: { erp: 6 },
    paused: [],
    nextRecord: 8,
    nextSeq: 10,
    nextCase: 4,
  },
  found: { links: [ADA, ADA], identities: [[ADA]], records: [], parkedRows: [WAITING] },
  ready: [entry(9, { record: 7 })],
  sent: [SENT],
  history: [journal(2, { record: 7, state: 'resolved' })],
  waiting: [WAITING],
  counts: {
    records: { customer: 1 },
    outbox: { erp: { depth: 2, oldest: 1008 } },
    openConflicts: {},
    parked: { crm: { waiting: 1 } },
  },
  ordinals: ['no', 'name', 'note'],
};

const guard = { match: [{ fields: ['no'], personal: true }], keys: ['crm', 'erp'] };
const SEALED: Privacy = {
  keys: [Buffer.alloc(32, 3)],
  guards: new Map([
    ['customer', guard],
    ['order', { match: [], keys: [] }],
  ]),
};

function written(version: number): string {
  const path = join(directory, `${version}-${Math.random()}.db`);
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA application_id = 0x4372636b');
  db.exec(VERSIONS[version - 1] ?? '');
  db.exec(`PRAGMA user_version = ${version}`);
  db.close();
  return path;
}

test('every earlier version has its ledger here', () => {
  expect(VERSIONS).toHaveLength(MIGRATIONS.length - 1);
});

const versions = VERSIONS.map((_, i) => i + 1);

test.each(versions)('a ledger of version %i keeps all that it held', async (version) => {
  const path = written(version);
  for (let opening = 0; opening < 2; opening++) {
    const ledger = await openSqliteLedger(path, { privacy: NO_PRIVACY });
    expect(await everything(ledger)).toEqual(EXPECTED);
    await ledger[Symbol.asyncDispose]();
  }
  const [fresh, db] = [join(directory, `fresh-${version}.db`), new DatabaseSync(path)];
  await (await openSqliteLedger(fresh))[Symbol.asyncDispose]();
  const newest = new DatabaseSync(fresh);
  expect(tablesOf(db)).toEqual(tablesOf(newest));
  expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  for (const one of [db, newest]) one.close();
});

test('what waited for a record that was erased goes on', async () => {
  const path = written(3);
  const db = new DatabaseSync(path);
  db.exec('UPDATE outbox SET waits = 5 WHERE seq = 9');
  db.close();
  const ledger = await openSqliteLedger(path, { privacy: NO_PRIVACY });
  expect(await ledger.ready('erp', 0, 9)).toEqual([entry(9, { record: 7 })]);
  await ledger[Symbol.asyncDispose]();
});

test.each(versions)('a ledger of version %i is sealed once there is a key', async (version) => {
  const path = written(version);
  const ledger = await openSqliteLedger(path, { privacy: SEALED });
  expect(await everything(ledger)).toEqual(EXPECTED);
  await ledger[Symbol.asyncDispose]();
  const db = new DatabaseSync(path);
  const texts = db.prepare('SELECT data FROM records UNION SELECT data FROM parked').all();
  for (const { data } of texts) expect(data).toMatch(/^~/);
  db.close();
});

const tablesOf = (db: DatabaseSync) =>
  db
    .prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name')
    .all()
    .map((row) => ({ ...row, sql: String(row.sql).replace(/\s+/g, ' ') }));
