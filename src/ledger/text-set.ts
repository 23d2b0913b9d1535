import { createHmac, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { ledgerFault } from './faults.ts';

/**
 * A set of texts on disk, as large as need be; its file is removed when it is closed. It holds
 * hashes under a key that is never stored, because the texts may be personal.
 */
export interface TextSet extends Disposable {
  add(texts: readonly string[]): void;
  has(text: string): boolean;
}

export function openTextSet(path: string): TextSet {
  rmSync(path, { force: true });
  const key = randomBytes(32);
  const hash = (text: string): string =>
    createHmac('sha256', key).update(text).digest().toString('base64', 0, 16);
  try {
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
      CREATE TABLE texts (text TEXT PRIMARY KEY) STRICT, WITHOUT ROWID`);
    const insert = db.prepare('INSERT OR IGNORE INTO texts VALUES (?)');
    const find = db.prepare('SELECT 1 FROM texts WHERE text = ?');
    return {
      add(texts) {
        if (texts.length === 0) return;
        db.exec('BEGIN');
        for (const text of texts) insert.run(hash(text));
        db.exec('COMMIT');
      },
      has: (text) => find.get(hash(text)) !== undefined,
      [Symbol.dispose]() {
        db.close();
        rmSync(path, { force: true });
      },
    };
  } catch (error) {
    throw ledgerFault(error, path);
  }
}
