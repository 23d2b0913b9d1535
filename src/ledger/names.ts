import type { DatabaseSync } from 'node:sqlite';
import { CarrickError } from '../errors.ts';
import type { Coding } from './codec.ts';

/** The codes of system and entity names: given once, kept for ever. */
export interface Names extends Coding {
  /** The code of a name if it has one: a name that has none is in no row. */
  known(name: string): number | undefined;
  reload(): void;
  /** Writes new names, inside the transaction that uses them first. */
  flush(): void;
  /** The transaction is on disk, and with it all that `flush` wrote. */
  settled(): void;
}

export function openNames(db: DatabaseSync): Names {
  const all = db.prepare('SELECT code, name FROM names ORDER BY code');
  const insert = db.prepare('INSERT INTO names (code, name) VALUES (?, ?)');
  const codes = new Map<string, number>();
  const names = new Map<number, string>();
  // Names whose code is not on disk yet; they outlive a transaction that failed.
  let fresh: string[] = [];
  let next = 1;
  const learn = (code: number, name: string) => {
    codes.set(name, code);
    names.set(code, name);
    next = Math.max(next, code + 1);
  };
  const reload = () => {
    for (const row of all.all()) learn(Number(row.code), String(row.name));
  };
  reload();
  return {
    reload,
    known: (name) => codes.get(name),
    code(name) {
      const code = codes.get(name);
      if (code !== undefined) return code;
      fresh.push(name);
      learn(next, name);
      return next - 1;
    },
    name(code) {
      const name = names.get(code);
      if (name !== undefined) return name;
      throw new CarrickError(
        'ledger.corrupt',
        'halt',
        `The ledger names no system or entity with code ${code}.`,
        'Restore the ledger from a backup.',
      );
    },
    flush() {
      for (const name of fresh) insert.run(codes.get(name)!, name);
    },
    settled() {
      fresh = [];
    },
  };
}
