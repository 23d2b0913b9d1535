import { expect, test } from 'vitest';
import { type Progress, parseProgress } from '../../src/capture/progress.ts';
import type { RowName } from '../../src/capture/snapshot.ts';
import { MOST_BY_KEY, noteUnread, readUnread, type Unread } from '../../src/feed/unread.ts';

const table = { name: 'items', key: ['id'], columns: ['id', 'name'] };
const named = (n: number): RowName => ({ table, key: [`${n}`] });
const rows = (count: number): RowName[] => Array.from({ length: count }, (_, n) => named(n));
const noted = (...parts: RowName[][]): Unread => {
  const unread: Unread = new Map();
  for (const part of parts) noteUnread(unread, part);
  return unread;
};
const LOADED: Progress = { after: null, ended: true, again: [], rows: 7, pass: 3 };
/** What becomes of a table of which `waiting` are to be read by key already. */
function read(waiting: readonly RowName[], unread: Unread, before = LOADED): Progress {
  const again = waiting.map(({ key }) => key);
  const progress = { items: JSON.stringify({ ...before, again }) };
  readUnread(progress, unread);
  return parseProgress(progress.items);
}

test('a row that is told of often is one row', () => {
  const next = read(rows(10), noted(rows(MOST_BY_KEY), rows(MOST_BY_KEY)));
  expect(next).toMatchObject({ ended: true, pass: 3 });
  expect(next.again).toHaveLength(MOST_BY_KEY);
});

test('of a table with too many rows none is remembered, and all of it is read', () => {
  const unread = noted(rows(MOST_BY_KEY + 1), [named(-1)]);
  expect(unread.get('items')).toBeNull();
  expect(read([], unread)).toMatchObject({ ended: false, after: null, again: [], pass: 4 });
});

test('rows that wait to be read by key still are', () => {
  expect(read([named(-5)], noted(rows(MOST_BY_KEY + 1))).again).toEqual([['-5']]);
});

test('rows of many transactions are too many together', () => {
  const next = read(rows(MOST_BY_KEY), noted([named(-1)]));
  expect(next).toMatchObject({ ended: false, pass: 4 });
  expect(next.again).toHaveLength(MOST_BY_KEY);
});

test('a pass is begun anew only when rows may lie behind it', () => {
  const begun = { ...LOADED, ended: false, sweep: { entity: '', after: null } };
  const many = (): Unread => noted(rows(MOST_BY_KEY + 1));
  expect(read([named(-5)], many(), begun)).toEqual({ ...begun, again: [['-5']] });
  expect(read([], many(), { ...begun, after: ['1'] })).toMatchObject({ after: null, pass: 4 });
});
