/**
 * What every copier does, and the one of the simulation too: what the simulation proves of feeds is
 * worth something only if its copier is like real ones.
 */
import { expect } from 'vitest';
import type { Copier, CopyWrite } from '../../src/contract/copier.ts';
import type { Value } from '../../src/model/value.ts';
import { type Random, seeded } from '../simulation/random.ts';
import {
  at,
  begun,
  type Copied,
  committed,
  type Declare,
  fresh,
  type OpenCopied,
  put,
  remove,
  rename,
} from './copied.ts';
import { failure, waits } from './installation.ts';

/** A table, a copier that has been asked for its place, and transactions of one write each. */
async function copying(open: OpenCopied, table: string) {
  const to = await open(table);
  return {
    to,
    ...(await begun(await to.copier())),
    names: async () => (await to.rows()).map(([id, name]) => [id, name]),
    [Symbol.asyncDispose]: () => to[Symbol.asyncDispose](),
  };
}

export function writes(test: Declare, open: OpenCopied): void {
  puts(test, open);
  changes(test, open);
}

function puts(test: Declare, open: OpenCopied): void {
  test('put: over rows, beside rows, and other columns keep what they have', async () => {
    const name = 'put_into';
    await using it = await copying(open, name);
    await it.to.insert(['1', 'a', '1.00'], ['2', 'b', '2.00'], ['9', 'z', '9.00']);
    const rows = [
      ['1', 'x', null],
      ['2', null, '5.00'],
      ['3', 'c', '3.00'],
    ];
    expect(await it.write(put(name, ...rows))).toEqual([]);
    const half = { ...put(name, ['3', 'y'], ['4', 'd']), columns: ['id', 'name'] };
    expect(await it.write(half)).toEqual([]);
    expect(await it.write({ ...put(name, ['9'], ['10']), columns: ['id'] })).toEqual([]);
    expect(await it.to.rows()).toEqual([
      ['1', 'x', null],
      ['2', null, '5.00'],
      ['3', 'y', '3.00'],
      ['4', 'd', null],
      ['9', 'z', '9.00'],
      ['10', null, null],
    ]);
  });

  test('put of new rows, also where some of them are there', async () => {
    const name = 'put_fresh';
    await using it = await copying(open, name);
    expect(await it.write(fresh(name, ['1', 'a', '1.00'], ['2', null, null]))).toEqual([]);
    expect(await it.write(fresh(name, ['3', 'c', '3.00'], ['1', 'x', null]))).toEqual([]);
    expect(await it.write(fresh(name))).toEqual([]);
    expect(await it.to.rows()).toEqual([
      ['1', 'x', null],
      ['2', null, null],
      ['3', 'c', '3.00'],
    ]);
  });

  test('of several writes of a transaction all but the refused rows stand', async () => {
    const name = 'put_several';
    await using it = await copying(open, name);
    await using transaction = await it.copier.begin();
    const tooLong = 'x'.repeat(201);
    const put2 = fresh(name, ['1', 'a', '1.00'], ['2', 'b', '2.00']);
    expect(await transaction.write(put2)).toEqual([]);
    const bad = put(name, ['3', tooLong, '3.00'], ['4', 'd', '4.00']);
    const [refused] = await transaction.write(bad);
    expect(refused).toMatchObject({ kind: 'refused', row: 0 });
    expect(await transaction.write(rename(name, ['1', 'x']))).toEqual([]);
    const worse = fresh(name, ['5', tooLong, '5.00'], ['6', 'f', '6.00']);
    expect(await transaction.write(worse)).toHaveLength(1);
    expect(await transaction.write(remove(name, '2'))).toEqual([]);
    await transaction.commit(at('end'));
    expect(await it.names()).toEqual([
      ['1', 'x'],
      ['4', 'd'],
      ['6', 'f'],
    ]);
  });
}

function changes(test: Declare, open: OpenCopied): void {
  test('patch: what is there, what is absent, and under a new key', async () => {
    const name = 'patched';
    await using it = await copying(open, name);
    await it.to.insert(['1', 'a', '1.00'], ['2', 'b', '2.00'], ['3', 'c', '3.00']);
    const patch = rename(name, ['8', 'x'], ['1', 'x'], ['9', 'x'], ['3', null], ['2', 'b']);
    expect(await it.write(patch)).toEqual([
      { kind: 'absent', row: 0 },
      { kind: 'absent', row: 2 },
    ]);
    const move: CopyWrite = {
      ...rename(name),
      columns: ['id', 'amount'],
      keys: [['1'], ['4'], ['3']],
      rows: [
        ['11', '1.50'],
        ['14', '4.00'],
        ['13', null],
      ],
    };
    expect(await it.write(move)).toEqual([{ kind: 'absent', row: 1 }]);
    expect(await it.to.rows()).toEqual([
      ['2', 'b', '2.00'],
      ['11', 'x', '1.50'],
      ['13', null, null],
    ]);
  });

  test('keys that follow one another up are moved in their order', async () => {
    const name = 'moved_up';
    await using it = await copying(open, name);
    await it.to.insert(['1', 'a', '1.00'], ['2', 'b', '2.00'], ['3', 'c', '3.00']);
    const keys = [['3'], ['2'], ['1']];
    const rows = [['4'], ['3'], ['2']];
    expect(await it.write({ ...rename(name), columns: ['id'], keys, rows })).toEqual([]);
    expect(await it.names()).toEqual([
      ['2', 'a'],
      ['3', 'b'],
      ['4', 'c'],
    ]);
  });

  test('remove: what is there, and what is not', async () => {
    const name = 'removed';
    await using it = await copying(open, name);
    await it.to.insert(['1', 'a', '1.00'], ['2', 'b', '2.00'], ['3', 'c', '3.00']);
    expect(await it.write(remove(name, '8', '1', '3', '9'))).toEqual([]);
    expect(await it.write(remove(name, '1'))).toEqual([]);
    expect(await it.to.rows()).toEqual([['2', 'b', '2.00']]);
  });
}

export function places(test: Declare, open: OpenCopied): void {
  order(test, open);
  losses(test, open);
}

function order(test: Declare, open: OpenCopied): void {
  test('the place is committed with the rows, for each feed its own', async () => {
    const name = 'placed';
    await using it = await copying(open, name);
    const other = await it.to.copier('other');
    expect(await other.place()).toBeNull();
    await committed(it.copier, at(1), put(name, ['1', 'a', '1.00']));
    expect(await it.copier.place()).toEqual(at(1));
    await committed(it.copier, at(2), put(name, ['2', 'b', '2.00']));
    await committed(it.copier, at(3));
    await committed(other, at('o'), put(name, ['3', 'c', '3.00']));
    const again = await it.to.copier();
    expect(await again.place()).toEqual(at(3));
    expect(await it.to.rows()).toHaveLength(3);
    await committed(again, at(4), remove(name, '1'));
    expect(await again.place()).toEqual(at(4));
    expect(await other.place()).toEqual(at('o'));
  });

  test('disposing an open transaction undoes it', async () => {
    const name = 'unplaced';
    await using it = await copying(open, name);
    for (const before of [null, at(1)]) {
      {
        await using transaction = await it.copier.begin();
        await transaction.write(put(name, ['1', 'a', '1.00']));
      }
      expect(await it.to.rows()).toEqual([]);
      expect(await it.copier.place()).toEqual(before);
      await committed(it.copier, at(1));
    }
  });

  test('a copier is fenced when another one moved the place', async () => {
    const name = 'fenced_feed';
    await using it = await copying(open, name);
    const rival = await it.to.copier();
    for (const round of [1, 2]) {
      expect(await rival.place()).toEqual(await it.copier.place());
      await committed(rival, at(`rival ${round}`), put(name, ['1', 'theirs', null]));
      const error = await failure(() => it.copier.begin());
      expect(error).toMatchObject({ code: 'target.fenced', disposition: 'halt' });
      expect(error.fix).not.toBe('');
      expect(await it.to.rows()).toEqual([['1', 'theirs', null]]);
      expect(await it.copier.place()).toEqual(at(`rival ${round}`));
      await committed(it.copier, at(round), put(name, ['1', 'ours', null]));
      expect(await failure(() => rival.begin())).toMatchObject({ code: 'target.fenced' });
      await committed(it.copier, at(round), put(name, ['1', 'theirs', null]));
    }
  });

  for (const end of ['commit', 'rollback'] as const) {
    test(`place() waits for a predecessor until its ${end}`, async () => {
      const name = `fed_${end}`;
      await using it = await copying(open, name);
      const successor = await it.to.copier();
      for (const place of [1, 2]) {
        const before = await it.copier.place();
        await using transaction = await it.copier.begin();
        await transaction.write(put(name, [`${place}`, 'ours', null]));
        const asked = successor.place();
        expect(await waits(asked)).toBe(true);
        if (end === 'commit') await transaction.commit(at(place));
        else await transaction[Symbol.asyncDispose]();
        expect(await asked).toEqual(end === 'commit' ? at(place) : before);
      }
    });
  }
}

function losses(test: Declare, open: OpenCopied): void {
  test('a connection that is cut before the commit leaves nothing', async () => {
    const name = 'fed_cut';
    await using it = await copying(open, name);
    await using transaction = await it.copier.begin();
    await transaction.write(fresh(name, ['1', 'a', '1.00']));
    await it.to.cut();
    expect(await failure(() => transaction.commit(at(1)))).toMatchObject({ disposition: 'retry' });
    const again = await it.to.copier();
    expect(await again.place()).toBeNull();
    expect(await it.to.rows()).toEqual([]);
    await committed(again, at(1), fresh(name, ['1', 'a', '1.00']));
    expect(await it.to.rows()).toHaveLength(1);
  });

  test('after an unknown commit the place says whether it was one', async () => {
    const name = 'fed_unknown';
    await using it = await copying(open, name);
    const numbers = Array.from({ length: 300 }, (_, i) => i);
    for (let round = 1; round <= 8; round++) {
      const copier = await it.to.copier();
      const before = await copier.place();
      const transaction = await copier.begin();
      const rows = numbers.map((i) => [`${round * 1000 + i}`, 'ours', null]);
      await transaction.write({ ...put(name, ...rows), fresh: round % 2 === 0 });
      const committing = transaction.commit(at(round)).then(
        () => 'committed',
        () => 'unknown',
      );
      await Promise.all([committing, it.to.cut()]);
      const after = await (await it.to.copier()).place();
      const found = (await it.to.rows()).filter(([id]) => Math.floor(Number(id) / 1000) === round);
      expect([before, at(round)]).toContainEqual(after);
      expect(found.length).toBe(after?.position === at(round).position ? rows.length : 0);
      if ((await committing) === 'committed') expect(after).toEqual(at(round));
    }
  });
}

const IDS = ['1', '2', '3', '4', '5', '6', '7', '8'];
const NAMES = [null, 'a', 'b', 'c', 'd', 'e', 'f', 'too long '.repeat(30)];

/** Rows of one write, each id once; names are unique in the table, so that rows are in the way. */
function drawWrite(random: Random, table: string): CopyWrite {
  const ids = IDS.filter(() => random.chance(0.3));
  const row = (id: string): Value[] => [id, random.pick(NAMES), `${random.int(3)}.00`];
  switch (random.int(4)) {
    case 0:
      return remove(table, ...ids);
    case 1:
      return rename(table, ...ids.map((id): [string, Value] => [id, random.pick(NAMES)]));
    case 2: {
      // As feeds do it: one row a write.
      const [from, to] = [random.pick(IDS), random.pick(IDS)];
      return { ...rename(table), columns: ['id'], keys: [[from]], rows: [[to]] };
    }
    default:
      return { ...put(table, ...ids.map(row)), fresh: random.chance(0.5) };
  }
}

/** What comes of a random story of one feed. */
export async function copyStory(seed: number, to: Copied): Promise<unknown[]> {
  const random = seeded(seed, 'copies');
  const told: unknown[] = [];
  const copier: Copier = await to.copier();
  told.push(await copier.place());
  for (let round = 1; round <= 12; round++) {
    await using transaction = await copier.begin();
    for (let writes = random.int(4); writes >= 0; writes--) {
      const write = drawWrite(random, to.table);
      const troubles = await transaction.write(write);
      told.push([write.op, ...troubles.map(({ kind, row }) => `${kind} ${row}`)]);
    }
    if (random.chance(0.8)) await transaction.commit(at(round));
    else await transaction[Symbol.asyncDispose]();
    told.push(await to.rows(), await copier.place());
  }
  return told;
}
