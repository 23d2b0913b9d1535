import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/**
 * What a running daemon asks of its callers where the configuration names no `api_token`: a new
 * token each time, in a file beside the ledger that only its owner can read. Commands on the same
 * machine find it there, and nobody else gets in, on loopback or not.
 */
export function openToken(ledger: string): { readonly token: string } & Disposable {
  const file = fileOf(ledger);
  const token = randomBytes(32).toString('base64url');
  // A mode counts for new files only.
  rmSync(file, { force: true });
  writeFileSync(file, token, { mode: 0o600, flag: 'wx' });
  return { token, [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/** The token of the daemon that owns this ledger; null: none runs, or not as this user. */
export function tokenBeside(ledger: string): string | null {
  try {
    return readFileSync(fileOf(ledger), 'utf8');
  } catch {
    return null;
  }
}

const fileOf = (ledger: string): string => `${ledger}-token`;
