import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { halt } from '../errors.ts';
import { BOUND_PAGES } from './checkpoint.ts';
import { corrupt } from './faults.ts';

/** `Crck`, in the file's header: tells a ledger from any other SQLite database. */
const APPLICATION_ID = 0x4372636b;
const PAGE_BYTES = 4096;
/** Small: what is not in it is in the operating system's. */
const CACHE_KIB = 8_192;
const WAL_LIMIT_BYTES = 128 * 1024 * 1024;

/**
 * Migration n brings a ledger from version n to n + 1 (`PRAGMA user_version`). Never change one
 * that was released; add the next.
 *
 * Systems and entities are stored by their code in `names`. `tallies` holds the next free numbers
 * and the counts that a scrape needs, so that nothing is counted by scanning.
 */
export const MIGRATIONS: readonly string[] = [
  `
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
  `,
  // Keys that documents are sealed with (see `vault.ts`), and what of which entity is sealed.
  `
  CREATE TABLE generations (
    generation INTEGER PRIMARY KEY, key TEXT NOT NULL, salt TEXT NOT NULL
  ) STRICT;
  CREATE TABLE guards (entity INTEGER PRIMARY KEY, guard TEXT NOT NULL) STRICT;
  `,
  // Parked items are counted by system too: they were by reason alone.
  `
  DELETE FROM tallies WHERE kind = 'parked';
  INSERT INTO tallies (kind, name, value)
    SELECT 'parked', names.name || ' ' || parked.reason, count(*)
    FROM parked JOIN names ON names.code = parked.system GROUP BY 2;
  `,
  // What waits for a record is found whatever its system is, and waited on when that was erased.
  `
  DROP INDEX outbox_waits;
  CREATE INDEX outbox_waits ON outbox (waits) WHERE waits IS NOT NULL;
  UPDATE outbox SET waits = NULL
    WHERE waits IS NOT NULL AND waits NOT IN (SELECT id FROM records);
  `,
  // The progress of all tables is long where there are many, and hardly ever changes.
  `
  CREATE TABLE snapshots (system INTEGER PRIMARY KEY, progress TEXT NOT NULL) STRICT;
  INSERT INTO snapshots (system, progress) SELECT system, snapshots FROM sources;
  ALTER TABLE sources DROP COLUMN snapshots;
  `,
];

/** Opens the file, checks that it is a ledger of ours, and brings it up to date. */
export function openDatabase(path: string, readOnly: boolean): DatabaseSync {
  if (readOnly && !existsSync(path)) {
    throw halt(
      'ledger.missing',
      `There is no ledger at ${path}.`,
      'Check `ledger` in the configuration; the daemon makes the file when it first starts.',
    );
  }
  const db = new DatabaseSync(path, { readOnly, timeout: 5_000 });
  try {
    db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    if (!readOnly) {
      db.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
      checkVersion(db, path, MIGRATIONS.length);
      db.exec('PRAGMA journal_mode = WAL');
      // FULL would sync the log inside of each COMMIT, and everything would wait: `sync.ts` does.
      // What else keeps the file whole after a power loss, NORMAL does too
      // (https://www.sqlite.org/pragma.html#pragma_synchronous).
      db.exec('PRAGMA synchronous = NORMAL');
      db.exec(`PRAGMA wal_autocheckpoint = ${BOUND_PAGES}`);
      db.exec(`PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`);
      migrate(db, MIGRATIONS);
    } else if (checkVersion(db, path, MIGRATIONS.length) < MIGRATIONS.length) {
      throw halt(
        'ledger.older',
        `The ledger ${path} was written by an older Carrick.`,
        'Start the daemon of this version once: it brings the ledger up to date.',
      );
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function checkVersion(db: DatabaseSync, path: string, newest: number): number {
  const version = pragma(db, 'user_version');
  const empty = pragma(db, 'schema_version') === 0;
  if (!empty && pragma(db, 'application_id') !== APPLICATION_ID) {
    throw corrupt(path, 'it is the database of another program');
  }
  if (version > newest) {
    throw halt(
      'ledger.newer',
      `The ledger ${path} has version ${version}; this Carrick knows versions up to ${newest}.`,
      'Run the Carrick that wrote it or a later one, or restore a backup from before the upgrade.',
    );
  }
  return version;
}

/** Runs the migrations that are missing, each in a transaction of its own. */
export function migrate(db: DatabaseSync, migrations: readonly string[]): void {
  for (let version = pragma(db, 'user_version'); version < migrations.length; version++) {
    try {
      db.exec(`
        BEGIN IMMEDIATE;
        ${migrations[version]};
        PRAGMA application_id = ${APPLICATION_ID};
        PRAGMA user_version = ${version + 1};
        COMMIT;
      `);
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
