/** The connector's own formats: places in the log, JSON, arrays, options, error messages. */
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../connectors/postgres/config.ts';
import { describeError, isRowRefusal, refusalReason } from '../../connectors/postgres/errors.ts';
import { canonicalJson } from '../../connectors/postgres/json.ts';
import { compareLsn, formatLsn, parseLsn } from '../../connectors/postgres/lsn.ts';
import { formatPosition, parsePosition } from '../../connectors/postgres/position.ts';
import { builtInCodec, encode } from '../../connectors/postgres/types.ts';
import { CarrickError } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';

const TEXT_ARRAY = 1009;
const setCodec = builtInCodec(TEXT_ARRAY)!;
const lsn = fc.bigInt(0n, (1n << 64n) - 1n);

describe('places in the log', () => {
  test('are read as they are written, and ordered by number, not by text', () => {
    fc.assert(
      fc.property(lsn, (value) => {
        expect(parseLsn(formatLsn(value))).toBe(value);
      }),
    );
    expect(compareLsn(parseLsn('9/0'), parseLsn('10/0'))).toBe(-1);
    expect(formatLsn(0x1_0000_000an)).toBe('1/A');
  });

  test('positions survive the ledger', () => {
    const open = fc.option(fc.record({ commit: lsn, rows: fc.nat() }));
    const cluster = fc.bigInt(0n, (1n << 64n) - 1n).map(String);
    const timeline = fc.integer({ min: 1, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(fc.record({ finished: lsn, open, cluster, timeline }), (position) => {
        expect(parsePosition(formatPosition(position))).toEqual(position);
      }),
    );
  });

  test('what is no position is refused', () => {
    for (const text of ['', '0/1', '0-1-5', '0/1+0/2@7', '0/1@x']) {
      expect(() => parsePosition(text as Position)).toThrow(CarrickError);
    }
  });
});

describe('JSON', () => {
  test('means the same, whatever white space and order it came in', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 1, '\t'), (value, indent) => {
        const canonical = canonicalJson(JSON.stringify(value, null, indent));
        // JSON.stringify writes -0 as 0 (ECMA-262, Number::toString), so the text is the measure.
        expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(canonical)).toBe(canonical);
        expect(canonicalJson(JSON.stringify(value))).toBe(canonical);
      }),
      { examples: [[-0, 0]] },
    );
  });

  test('keeps the spelling of numbers and the last of equal keys', () => {
    expect(canonicalJson(' {"b" : 1.50, "a":[ 12345678901234567890 , -0, 1e2 ],"b":[] } ')).toBe(
      '{"a":[12345678901234567890,-0,1e2],"b":[]}',
    );
    expect(canonicalJson('{"\\u0061\\/":"\\u00fc\\n","a":true}')).toBe('{"a":true,"a/":"ü\\n"}');
    expect(canonicalJson('{"10":1,"9":2,"__proto__":null}')).toBe(
      '{"10":1,"9":2,"__proto__":null}',
    );
  });
});

describe('sets', () => {
  test('come back from the array that they are written as', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: 'binary' })), (elements) => {
        const value = JSON.stringify(elements.toSorted());
        // PostgreSQL accepts an array with every element quoted and prints it so when it must.
        expect(setCodec.decode!(encode('set', value)!)).toBe(value);
      }),
    );
  });

  test('are distinct; what is no set of strings keeps its text', () => {
    expect(setCodec.decode!('{b,a,b,"null"}')).toBe('["a","b","null"]');
    for (const text of ['{a,NULL}', '{{a},{b}}', '[2:2]={a}']) {
      expect(setCodec.decode!(text)).toBe(text);
      expect(encode('set', text)).toBe(text);
    }
  });
});

describe('options', () => {
  test('are a URL or its parts, and nothing else', () => {
    expect(parseOptions({ url: 'postgres://u:p@h:5432/d?sslmode=require' }).ok).toBe(true);
    expect(parseOptions({ host: '/run', user: 'u', database: 'd' }).ok).toBe(true);
    const wrong = (options: unknown) => {
      const parsed = parseOptions(options);
      return parsed.ok ? [] : parsed.problems.map(({ path }) => path.join('.'));
    };
    expect(wrong({})).toEqual(['']);
    expect(wrong({ url: 'mysql://h/d' })).toEqual(['url']);
    expect(wrong({ url: 'postgres://h/d?options=-c%20x' })).toEqual(['url']);
    expect(wrong({ host: 'h', prot: 1, port: 0 })).toEqual(['port', 'prot']);
    expect(wrong({ url: 'postgres://h/d', user: 'u' })).toEqual(['']);
    expect(parseOptions({ ulr: 'postgres://h/d' })).toMatchObject({
      problems: [
        { message: 'unknown option "ulr"', known: expect.arrayContaining(['url']) },
        { path: [] },
      ],
    });
  });
});

describe('errors', () => {
  const failed = (code: string, message = 'm', more: Partial<pg.DatabaseError> = {}) =>
    Object.assign(new pg.DatabaseError(message, 0, 'error'), { code, ...more });

  test.each([
    ['source', '55006', 'source.busy', 'retry'],
    ['source', '42704', 'source.lost', 'halt'],
    ['source', '58P01', 'source.lost', 'halt'],
    ['source', '28P01', 'source.refused', 'halt'],
    ['source', '57P01', 'source.unreachable', 'retry'],
    ['source', '53300', 'source.unreachable', 'retry'],
    ['target', '40P01', 'target.conflicted', 'retry'],
    ['target', '55P03', 'target.conflicted', 'retry'],
    ['target', '42703', 'target.refused', 'halt'],
    ['target', '42501', 'target.refused', 'halt'],
    ['target', '08006', 'target.unreachable', 'retry'],
    ['target', undefined, 'target.unreachable', 'retry'],
  ] as const)('%s %s is %s (%s)', (side, state, code, disposition) => {
    const error = state === undefined ? new Error('ECONNRESET') : failed(state);
    expect(describeError(side, error)).toMatchObject({ code, disposition });
  });

  test('say nothing of the rows', () => {
    const bad = failed('22P02', 'invalid input syntax for type integer: "se"cret"');
    const far = failed('22003', 'value "99secret" is out of range for type integer');
    const raised = failed('P0001', 'secret customer', {
      where: 'SQL statement "select secret"\nPL/pgSQL function f(integer) line 3 at RAISE',
    });
    const posing = failed('23505', 'secret is there already', {
      where: 'PL/pgSQL function f(integer) line 3 at RAISE',
    });
    for (const error of [bad, far, raised, posing]) {
      expect(isRowRefusal(error)).toBe(true);
      expect(refusalReason(error)).not.toContain('secret');
      expect(refusalReason(error)).not.toContain('cret');
    }
    expect(refusalReason(raised)).toBe('refused by PL/pgSQL function f(integer) line 3 at RAISE');
    const halted = describeError('target', failed('42883', 'no operator: "secret"'));
    expect(`${halted.message}${String(halted.cause)}`).not.toContain('secret');
  });
});
