import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { type CarrickError, halt } from '../errors.ts';

/**
 * The keys that documents are sealed with. No nonce is ever used twice: each opening of the ledger
 * that seals anything starts a generation, whose key is derived (HKDF, RFC 5869) from the master
 * key and 32 random bytes, and whose nonces count from 0. A copy of the ledger that is opened
 * elsewhere starts generations of its own.
 */
export interface Keyring {
  /** Id of the master key that is written with; null: none was given. */
  readonly mainId: string | null;
  /** Id of a master key that stored documents need and that was not given. */
  missing(): string | null;
  /** Whether documents may be sealed with other master keys than the one that is written with. */
  hasOthers(): boolean;
  /** A nonce that was never used with its generation's key. */
  next(): { readonly generation: Generation; readonly nonce: number };
  generation(number: number): Generation | undefined;
  /** For index entries. Errors: `ledger.key` (halt). */
  indexKey(): KeyObject;
  /** Inside a transaction: forgets all generations but those of the main key, if `keepMain`. */
  retire(keepMain: boolean): void;
  readonly disk: {
    reload(): void;
    /** Writes a generation that was begun, inside the transaction that uses it first. */
    flush(): void;
    settled(): void;
  };
}

export interface Generation {
  readonly number: number;
  readonly keyId: string;
  /** Errors: `ledger.key` (halt). */
  key(): KeyObject;
}

interface Master {
  readonly id: string;
  readonly secret: Buffer;
}

export function openKeyring(db: DatabaseSync, path: string, keys: readonly Buffer[]): Keyring {
  const masters = keys.map(masterOf);
  const main = masters[0] ?? null;
  const all = db.prepare('SELECT generation, key, salt FROM generations');
  const insert = db.prepare('INSERT INTO generations (generation, key, salt) VALUES (?, ?, ?)');
  const drop = db.prepare('DELETE FROM generations WHERE key <> ?');
  const known = new Map<number, Generation>();
  let own: { readonly generation: Generation; readonly salt: Buffer } | null = null;
  let isOnDisk = false;
  let nonces = 0;
  let last = 0;
  const learn = (number: number, keyId: string, salt: Buffer): Generation => {
    last = Math.max(last, number);
    let derived: KeyObject | null = null;
    const key = (): KeyObject => {
      const master = masters.find(({ id }) => id === keyId);
      if (master === undefined) throw keyless(path, keyId);
      derived ??= derive(master.secret, salt, 'carrick documents');
      return derived;
    };
    const generation = { number, keyId, key };
    known.set(number, generation);
    return generation;
  };
  const reload = (): void => {
    for (const { generation, key, salt } of all.all()) {
      if (known.has(Number(generation))) continue;
      learn(Number(generation), String(key), Buffer.from(String(salt), 'base64'));
    }
  };
  const mine = (): Master => {
    if (main === null) throw keyless(path);
    return main;
  };
  const begin = () => {
    const salt = randomBytes(32);
    own = { generation: learn(last + 1, mine().id, salt), salt };
    return own;
  };
  let index: KeyObject | null = null;
  reload();
  return {
    mainId: main?.id ?? null,
    missing() {
      const given = new Set(masters.map(({ id }) => id));
      return [...known.values()].find(({ keyId }) => !given.has(keyId))?.keyId ?? null;
    },
    hasOthers: () => [...known.values()].some(({ keyId }) => keyId !== main?.id),
    next: () => ({ generation: (own ?? begin()).generation, nonce: nonces++ }),
    generation: (number) => known.get(number),
    indexKey() {
      index ??= derive(mine().secret, Buffer.alloc(0), 'carrick index');
      return index;
    },
    retire(keepMain) {
      const kept = keepMain ? main?.id : undefined;
      drop.run(kept ?? '');
      for (const { number, keyId } of known.values()) if (keyId !== kept) known.delete(number);
    },
    disk: {
      reload,
      flush() {
        if (own === null || isOnDisk) return;
        const { generation, salt } = own;
        insert.run(generation.number, generation.keyId, salt.toString('base64'));
      },
      settled() {
        isOnDisk = own !== null;
      },
    },
  };
}

function masterOf(secret: Buffer): Master {
  const id = createHmac('sha256', secret).update('carrick key id').digest('hex').slice(0, 12);
  return { id, secret };
}

const derive = (secret: Buffer, salt: Buffer, info: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, salt, info, 32)));

/** The ledger needs a key that was not given. */
export function keyless(path: string, keyId?: string): CarrickError {
  const which = keyId === undefined ? 'a key' : `the key ${keyId}, which is none of those given`;
  return halt(
    'ledger.key',
    `The ledger ${path} holds personal values and needs ${which}.`,
    'Give the key that it was written with as `ledger_key`, or as a second one after a new key.',
  );
}
