import { DatabaseSync } from 'node:sqlite';
import { halt } from '../errors.ts';
import { ledgerFault } from './faults.ts';

/**
 * Takes the one writing ownership of the ledger at `path` and gives what releases it. The lock is
 * an exclusive transaction on an empty database beside the ledger: the kernel drops it with the
 * process, however that ends, and unlike a lock on the ledger itself it lets others read.
 */
export function takeOwnership(path: string): () => void {
  let lock: DatabaseSync | null = null;
  try {
    lock = new DatabaseSync(`${path}-owner`, { timeout: 0 });
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    lock?.close();
    const fault = ledgerFault(error, path);
    if (!(fault instanceof Error) || (fault as { code?: unknown }).code !== 'ledger.busy') {
      throw fault;
    }
    throw halt(
      'ledger.owned',
      `Another Carrick is running on the ledger ${path}.`,
      'Stop the other daemon, or give this one a ledger of its own.',
      error,
    );
  }
  const held = lock;
  return () => held.close();
}
