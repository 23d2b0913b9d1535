import { describe, expect, test } from 'vitest';
import { CarrickError } from '../../src/errors.ts';
import { EVENTS, type Level } from '../../src/observe/events.ts';
import { createLog } from '../../src/observe/log.ts';
import { prettyLines } from '../../src/observe/pretty.ts';
import { troubleOf } from '../../src/observe/trouble.ts';

function logTo(level: Level) {
  const lines: string[] = [];
  const log = createLog(level, { write: (line: string) => void lines.push(line) });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}

describe('log', () => {
  test('one event a line, with its name, level, time and fields', () => {
    const { log, lines, parsed } = logTo('info');
    log.event('source.following', { system: 'crm', position: '0/16B3748' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[^\n]+\n$/);
    expect(parsed()[0]).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'source.following',
      msg: 'following the log',
      system: 'crm',
      position: '0/16B3748',
    });
  });

  test('what is not declared is not written', () => {
    const { log, lines } = logTo('info');
    const position = { system: 'crm', position: 'x', url: 'postgres://u:hunter2@h', value: 'Ada' };
    log.event('source.following', position);
    expect(lines.join('')).not.toMatch(/hunter2|Ada|url/);
  });

  test('no declared field is meant for values or secrets', () => {
    for (const { fields } of Object.values(EVENTS)) {
      for (const name of Object.keys(fields)) {
        expect(name).not.toMatch(/value|cells|password|secret|token|url/i);
      }
    }
  });

  test('the level can be changed while running', () => {
    const { log, parsed } = logTo('info');
    log.event('target.idle', { system: 'erp' });
    log.level = 'debug';
    log.event('target.idle', { system: 'erp' });
    log.level = 'error';
    log.event('source.following', { system: 'crm', position: 'x' });
    expect(parsed().map((line) => line.event)).toEqual(['target.idle']);
    expect(log.level).toBe('error');
  });

  test('lines for a terminal', () => {
    const { log, lines } = logTo('info');
    const fields = { code: 'source.lost', message: 'the slot is gone', fix: 'resync' };
    log.event('source.halted', { system: 'crm', ...fields });
    let text = '';
    prettyLines((piece) => {
      text += piece;
    }, false).write(lines[0]!);
    const [clock, ...rest] = text.split(' ');
    expect(clock).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/);
    expect(rest.join(' ')).toBe(
      'error source halted: needs an operator system=crm code=source.lost ' +
        'message="the slot is gone" fix=resync\n',
    );
    prettyLines((piece) => {
      text = piece;
    }, true).write(lines[0]!);
    expect(text).toContain('\x1b[31merror');
  });
});

describe('trouble', () => {
  test('shows our own errors whole', () => {
    expect(troubleOf(new CarrickError('a.b', 'park', 'm', 'f'))).toEqual({
      code: 'a.b',
      message: 'm',
      fix: 'f',
    });
  });

  test("keeps a driver's message, which may quote values, to itself", () => {
    const error = Object.assign(new Error("Duplicate entry 'ada@example.org' for key 'mail'"), {
      code: 'ER_DUP_ENTRY',
    });
    expect(JSON.stringify(troubleOf(error))).not.toContain('ada');
    expect(troubleOf(error).message).toContain('ER_DUP_ENTRY');
    expect(JSON.stringify(troubleOf('ada'))).not.toContain('ada');
  });

  test('names the file or address of a system error', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
    expect(troubleOf(error).message).toContain('127.0.0.1:1');
  });
});
