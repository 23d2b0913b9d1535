import { CarrickError, halt, retry } from '../errors.ts';

/** Primary result codes: https://www.sqlite.org/rescode.html */
const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
/** Extended code: the shared-memory file could not grow, which is a full disk too. */
const IOERR_SHMSIZE = 4874;

/** What an error out of `node:sqlite` means to the operator; other errors pass unchanged. */
export function ledgerFault(error: unknown, path: string): unknown {
  if (error instanceof CarrickError || !(error instanceof Error)) return error;
  const code = (error as { errcode?: unknown }).errcode;
  if (typeof code !== 'number') return error;
  if (code === IOERR_SHMSIZE) return full(path, error);
  switch (code & 0xff) {
    case FULL:
      return full(path, error);
    case CORRUPT:
    case NOTADB:
      return corrupt(path, 'the file is damaged or no SQLite database', error);
    case BUSY:
      return retry(
        'ledger.busy',
        `The ledger ${path} was kept locked by another program.`,
        'End sqlite3 shells and backups that hold a transaction on the ledger open.',
        error,
      );
    case READONLY:
    case CANTOPEN:
      return halt(
        'ledger.unusable',
        `The ledger ${path} cannot be opened.`,
        'Check that its directory exists, and that this user may write the file and its directory.',
        error,
      );
    case IOERR:
      return retry(
        'ledger.io',
        `Reading or writing the ledger ${path} failed (SQLite error ${code}).`,
        'Look into the system log for errors of the disk or the file system.',
        error,
      );
    default:
      return error;
  }
}

export function corrupt(path: string, what: string, cause?: unknown): CarrickError {
  return halt(
    'ledger.corrupt',
    `The ledger ${path} cannot be used: ${what}.`,
    'Restore a backup of it, or move it away and start anew: records are then matched afresh.',
    cause,
  );
}

function full(path: string, cause: unknown): CarrickError {
  return retry(
    'ledger.full',
    `The disk of the ledger ${path} is full; nothing of this commit was written.`,
    'Free or add disk space; the daemon goes on by itself.',
    cause,
  );
}
