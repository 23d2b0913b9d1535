import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { type CarrickError, halt } from '../errors.ts';
import type { Keyring } from './keyring.ts';
import type { Guard } from './privacy.ts';

/** Which kind of document it is; part of what its seal is bound to. */
export type Kind = 'record' | 'sent' | 'journal' | 'parked' | 'progress';

/**
 * Seals documents of personal entities with AES-256-GCM and hashes index entries with HMAC-SHA256.
 *
 * The seal is bound to kind, entity and ids, so a document put in another's place is refused; one
 * put back from an older copy of the same place is not told apart. A sealed document is the text
 * `~generation.nonce.` in base 36, then ciphertext and tag in base64.
 */
export interface Vault {
  readonly keyring: Keyring;
  /** The text as it is stored: sealed when `entity` is personal. */
  seal(kind: Kind, entity: string, id: string | number, text: string): string;
  /** Errors: `ledger.corrupt` (halt) when the document was changed or moved. */
  open(kind: Kind, entity: string, id: string | number, stored: string): string;
  /** Row keys and match tuples as indexes hold them. */
  rowKey(system: string, entity: string, key: string): string;
  identity(entity: string, alternative: number, value: string): string;
  guards(): ReadonlyMap<string, Guard>;
  /** Replaces the guards; `strict`: what they call personal is sealed already, or was forged. */
  guard(guards: ReadonlyMap<string, Guard>, strict: boolean): void;
}

const TAG_BYTES = 16;
const SEALED = '~';

export function openVault(path: string, keyring: Keyring): Vault {
  let guards: ReadonlyMap<string, Guard> = new Map();
  let hidden = new Set<string>();
  let strict = false;
  const isPersonal = (kind: Kind, entity: string): boolean =>
    kind === 'progress' ? hidden.has(entity) : guards.has(entity);
  const hash = (...parts: (string | number)[]): string =>
    createHmac('sha256', keyring.indexKey())
      .update(parts.join('\u0000'))
      .digest()
      .toString('base64url', 0, 16);
  return {
    keyring,
    seal(kind, entity, id, text) {
      if (!isPersonal(kind, entity)) return text;
      const { generation, nonce } = keyring.next();
      const cipher = createCipheriv('aes-256-gcm', generation.key(), iv(nonce));
      cipher.setAAD(boundTo(kind, entity, id));
      const body = cipher.update(text, 'utf8');
      cipher.final();
      const sealed = Buffer.concat([body, cipher.getAuthTag()]).toString('base64');
      return `${SEALED}${generation.number.toString(36)}.${nonce.toString(36)}.${sealed}`;
    },
    open(kind, entity, id, stored) {
      if (!stored.startsWith(SEALED)) {
        if (strict && isPersonal(kind, entity)) throw changed(path, kind, entity);
        return stored;
      }
      const [number = '', nonce = '', body = ''] = stored.slice(1).split('.');
      const generation = keyring.generation(Number.parseInt(number, 36));
      if (generation === undefined) throw changed(path, kind, entity);
      const bytes = Buffer.from(body, 'base64');
      const end = bytes.length - TAG_BYTES;
      const key = generation.key();
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, iv(Number.parseInt(nonce, 36)), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(boundTo(kind, entity, id));
        decipher.setAuthTag(bytes.subarray(end));
        const text = decipher.update(bytes.subarray(0, end), undefined, 'utf8');
        return text + decipher.final('utf8');
      } catch {
        throw changed(path, kind, entity);
      }
    },
    rowKey(system, entity, key) {
      if (guards.get(entity)?.keys.includes(system) !== true) return key;
      return hash('row', system, entity, key);
    },
    identity(entity, alternative, value) {
      if (guards.get(entity)?.match[alternative]?.personal !== true) return value;
      return hash('match', entity, alternative, value);
    },
    guards: () => guards,
    guard(next, isStrict) {
      guards = next;
      strict = isStrict;
      hidden = new Set([...next.values()].flatMap((guard) => guard.keys));
    },
  };
}

const boundTo = (kind: Kind, entity: string, id: string | number): Buffer =>
  Buffer.from(`${kind}\u0000${entity}\u0000${id}`);

/** 96 bits, as GCM wants them (NIST SP 800-38D, 8.2.1: the deterministic construction). */
function iv(nonce: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(nonce, 6, 6);
  return bytes;
}

const changed = (path: string, kind: Kind, entity: string): CarrickError =>
  halt(
    'ledger.corrupt',
    `The ledger ${path} cannot be used: a sealed ${kind} of ${entity} was changed or moved.`,
    'Restore a backup of it, or move it away and start anew: records are then matched afresh.',
  );
