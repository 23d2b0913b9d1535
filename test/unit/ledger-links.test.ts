import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openLinkGuesses } from '../../src/ledger/link-guesses.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { link, record, view } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-links-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Two keys of the first system's first entity that are taken for one another. */
function mistaken(): [string, string] {
  const guesses = openLinkGuesses();
  for (let n = 1; ; n++) {
    const other = guesses.get(1, 2, `k${n}`);
    if (other !== undefined) return [`k${other}`, `k${n}`];
    guesses.set(1, 2, `k${n}`, n);
  }
}

test('a guess is what was put last, until it is removed', () => {
  const guesses = openLinkGuesses();
  expect(guesses.get(1, 2, 'a')).toBeUndefined();
  guesses.set(1, 2, 'a', 7);
  guesses.set(2, 2, 'a', 8);
  guesses.set(1, 3, 'a', 9);
  expect([guesses.get(1, 2, 'a'), guesses.get(2, 2, 'a'), guesses.get(1, 3, 'a')]).toEqual([
    7, 8, 9,
  ]);
  guesses.delete(2, 2, 'a');
  guesses.set(1, 2, 'a', 2 ** 32 - 1);
  guesses.set(1, 3, 'a', 2 ** 32);
  expect(guesses.get(2, 2, 'a')).toBeUndefined();
  expect(guesses.get(1, 2, 'a')).toBe(2 ** 32 - 1);
  expect(guesses.get(1, 3, 'a')).toBeUndefined();
  guesses.clear();
  expect(guesses.get(1, 2, 'a')).toBeUndefined();
});

test('keys that are taken for one another lead each to its record', async () => {
  const keys = mistaken();
  const ledger = await openSqliteLedger(join(directory, 'mistaken.db'));
  const links = keys.map((key) => link(key));
  const both = keys.map((key, i) => record(i + 1, { views: { crm: view(key, ['x', null]) } }));
  await ledger.commit({ links: { add: [{ ...links[1]!, record: 2 }], remove: [] }, records: both });
  expect((await ledger.find({ links })).links).toEqual([null, both[1]]);
  await ledger.commit({ links: { add: [{ ...links[0]!, record: 1 }], remove: [] } });
  for (let turn = 0; turn < 2; turn++) {
    expect((await ledger.find({ links })).links).toEqual(both);
    expect((await ledger.find({ links: links.toReversed() })).links).toEqual(both.toReversed());
  }
  await ledger.commit({ links: { add: [], remove: [links[0]!] } });
  expect((await ledger.find({ links })).links).toEqual([null, both[1]]);
  await ledger[Symbol.asyncDispose]();
});
