import type { RecordState } from '../model/record.ts';

/** A deleted record that every system has followed: committing it erases it. */
export function isSpent(state: RecordState): boolean {
  if (state.deleted === null) return false;
  return Object.keys(state.views).length === 0 && Object.keys(state.outbox).length === 0;
}
