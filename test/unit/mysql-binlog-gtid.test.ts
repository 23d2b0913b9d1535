import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mariadbGtidSet, mysqlGtidSet } from '../../connectors/mysql/binlog/gtid.ts';
import { formatPosition, parsePosition } from '../../connectors/mysql/position.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = 'aaaaaaaa-71ca-11e1-9e33-c80aa9429562';

describe('GTID sets of MySQL', () => {
  test.each([
    ['', ''],
    [`${A}:1-5`, `${A}:1-5`],
    [`${A.toUpperCase()}:1-3:4-5:9`, `${A}:1-5:9`],
    [`${B}:7, \n${A}:2:1`, `${A}:1-2,${B}:7`],
    [`${A}:1-2:orders:1-3:7,${B}:tag:4`, `${A}:1-2:orders:1-3:7,${B}:tag:4`],
    [`${A}:orders:1`, `${A}:orders:1`],
    [`${A}:5-9:1-6:3`, `${A}:1-9`],
  ])('%j is written %j', (given, canonical) => {
    expect(mysqlGtidSet(given).text()).toBe(canonical);
  });

  test.each(['x', `${A}:0`, `${A}:5-3`, `${A}:1-`, 'not-a-uuid:1', `${A}:9lives:1`])(
    '%j is refused',
    (text) => {
      expect(() => mysqlGtidSet(text)).toThrow(RangeError);
    },
  );

  const members = fc.uniqueArray(
    fc.tuple(fc.constantFrom(A, B, `${A}:tag`), fc.integer({ min: 1, max: 30 })),
    { selector: ([source, number]) => `${source}:${number}`, maxLength: 40 },
  );
  const setOf = (list: readonly (readonly [string, number])[]) => {
    const set = mysqlGtidSet('');
    for (const [source, number] of list) set.add(`${source}:${number}`);
    return set;
  };

  test('hold what was added, in whatever order, and nothing else', () => {
    fc.assert(
      fc.property(members, fc.infiniteStream(fc.nat()), (list, order) => {
        const set = setOf(list);
        const shuffled = list
          .map((member) => ({ member, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ member }) => member);
        expect(setOf(shuffled).text()).toBe(set.text());
        expect(mysqlGtidSet(set.text()).text()).toBe(set.text());
        for (const source of [A, B, `${A}:tag`]) {
          for (let number = 1; number <= 31; number++) {
            const wanted = list.some(([s, n]) => s === source && n === number);
            expect(set.has(`${source}:${number}`)).toBe(wanted);
          }
        }
      }),
    );
  });

  test('contain exactly their subsets', () => {
    fc.assert(
      fc.property(members, members, (some, others) => {
        const names = new Set(some.map(([source, number]) => `${source}:${number}`));
        const subset = others.every(([source, number]) => names.has(`${source}:${number}`));
        expect(setOf(some).contains(setOf(others))).toBe(subset);
        expect(setOf([...some, ...others]).contains(setOf(others))).toBe(true);
      }),
    );
  });

  test('are sent as the protocol documents it', () => {
    const uuid = A.replaceAll('-', '');
    const number = (value: number) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigUInt64LE(BigInt(value));
      return buffer.toString('hex');
    };
    expect(mysqlGtidSet(`${A}:1-5:9`).encode().toString('hex')).toBe(
      number(1) + uuid + number(2) + number(1) + number(6) + number(9) + number(10),
    );
    // Two entries, the format in the first and last byte; tags behind their doubled length.
    expect(mysqlGtidSet(`${A}:1:ab:2`).encode().toString('hex')).toBe(
      `0102000000000001${uuid}00${number(1)}${number(1)}${number(2)}` +
        `${uuid}04${Buffer.from('ab').toString('hex')}${number(1)}${number(2)}${number(3)}`,
    );
  });
});

describe('GTID positions of MariaDB', () => {
  test('hold the last GTID of each domain', () => {
    const set = mariadbGtidSet('7-2-10,0-1-5');
    set.add('0-3-6');
    set.add('2-1-1');
    expect(set.text()).toBe('0-3-6,2-1-1,7-2-10');
    expect([set.has('0-1-6'), set.has('0-1-7'), set.has('9-1-1')]).toEqual([true, false, false]);
    expect([set.empty, mariadbGtidSet('').empty]).toEqual([false, true]);
  });

  test.each(['0-1', '0-1-2-3', 'a-1-2', '0-1-5,0-2-6', "0-1-2' OR 1"])('%j is refused', (text) => {
    expect(() => mariadbGtidSet(text)).toThrow(RangeError);
  });
});

describe('positions', () => {
  test.each([
    'mariadb:0-1-55,1-2-7',
    'mariadb@4711:',
    'mariadb:0-1-55+0-1-56#5000',
    `mysql:${A}:1-77:orders:1-3,${B}:5`,
    `mysql:${A}:1-77+${A}:orders:4#12`,
    `mysql@${A}:`,
    `file@${A}:binlog.000003:4567`,
    `file@${A}:log+bin#1.000003:4567`,
  ])('%s is read as it is written', (text) => {
    expect(formatPosition(parsePosition(text))).toBe(text);
  });

  test.each(['', 'postgres:0/1', 'mariadb:0-1', 'mysql:x:1', 'file@x:binlog', 'mariadb:0-1-5+#'])(
    '%j is lost',
    (text) => {
      expect(() => parsePosition(text)).toThrow(
        expect.objectContaining({ code: 'source.lost', disposition: 'halt' }),
      );
    },
  );
});
