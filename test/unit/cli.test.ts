import { describe, expect, test } from 'vitest';
import { renderFindings, verdict } from '../../src/cli/check.ts';
import { runCommandLine } from '../../src/cli/cli.ts';
import type { Composition } from '../../src/cli/composition.ts';
import { choiceOf, renderConflict, renderConflicts } from '../../src/cli/conflicts.ts';
import { exitOf } from '../../src/cli/exit.ts';
import { renderExplanation } from '../../src/cli/explain.ts';
import { renderParked, renderParkedList } from '../../src/cli/parked.ts';
import { renderStatus } from '../../src/cli/status.ts';
import { age, bytes, cellsOf, type Style, table, valueText } from '../../src/cli/terminal.ts';
import { renderCases } from '../../src/cli/test.ts';
import type { Daemon } from '../../src/contract/controls.ts';
import type { Entity } from '../../src/contract/entity.ts';
import type { JournalEntry, ParkedRow } from '../../src/contract/ledger.ts';
import type { Explanation, Status } from '../../src/contract/operator.ts';
import { CarrickError, halt, retry } from '../../src/errors.ts';
import { serve } from '../../src/observe/http.ts';
import { createLog } from '../../src/observe/log.ts';
import { maskEntry, maskExplanation, maskParked, masksOf } from '../../src/observe/mask.ts';
import { createMetrics } from '../../src/observe/metrics.ts';

const NOW = Date.UTC(2026, 10, 23, 1, 2, 3) * 1_000;
const plain: Style = { colours: false, now: NOW };

const field = (name: string, pii: boolean) => ({
  name,
  kind: 'string' as const,
  required: false,
  pii,
  scale: 0,
  ref: null,
});

const customer: Entity = {
  name: 'customer',
  fields: [field('email', true), field('street', true), field('city', false), field('tier', false)],
  match: [[0]],
  units: [
    { name: 'email', fields: [0], chain: [] },
    { name: 'address', fields: [1, 2], chain: [] },
    { name: 'tier', fields: [3], chain: [] },
  ],
  unitOf: [0, 1, 1, 2],
  lenses: new Map(),
  deleteConflict: 'update_wins',
  firstContact: [],
  flood: { share: 1, atLeast: 1, within: 1 },
};
const entities = new Map([['customer', customer]]);

const entry: JournalEntry = {
  id: 12,
  at: NOW - 192e6,
  entity: 'customer',
  record: 7,
  unit: 'address',
  kind: 'conflict',
  state: 'settled',
  policy: 'prefer: erp',
  winner: 'erp',
  incoming: {
    system: 'crm',
    values: ['High St 1', 'Leeds'],
    stamp: { wall: NOW - 200e6, counter: 0, system: 'crm' },
  },
  standing: { system: 'erp', values: ['Low Rd 2', null], stamp: null },
  outcome: ['Low Rd 2', null],
};

const parkedRow: ParkedRow = {
  id: 40,
  system: 'crm',
  entity: 'customer',
  since: NOW - 3_600e6,
  reason: 'invalid',
  detail: 'email: longer than 80 characters',
  kind: 'row',
  key: '0012',
  cells: { mail: 'ada@example.org', note: null },
  waits: null,
};

const explanation: Explanation = {
  entity: 'customer',
  record: 7,
  deleted: false,
  fields: [
    { name: 'email', pii: true, value: 'ada@example.org', stamp: null, held: null },
    { name: 'street', pii: true, value: 'High St 1', stamp: null, held: null },
    { name: 'city', pii: false, value: 'Leeds', stamp: null, held: null },
    {
      name: 'tier',
      pii: false,
      value: 'gold',
      stamp: { wall: NOW, counter: 0, system: 'crm' },
      held: 12,
    },
  ],
  views: {
    crm: {
      status: 'linked',
      key: 'a-1',
      values: ['ada@example.org', 'High St 1', 'Leeds', 'gold'],
      raw: { mail: 'Ada@Example.org' },
      represents: null,
    },
    erp: {
      status: 'linked',
      key: '0012',
      values: ['ada@example.or', 'Old St', 'Leeds', undefined],
      raw: null,
      represents: { 0: 'ada@example.org' },
    },
  },
  outbox: [{ system: 'erp', since: NOW - 2e6, batch: 5, attempts: 1 }],
  history: [entry],
  parked: [parkedRow],
};

const status: Status = {
  instance: 'main',
  uptimeSeconds: 7_500,
  reload: null,
  paused: [],
  systems: [
    {
      system: 'crm',
      connector: 'postgres',
      source: 'following',
      target: 'idle',
      position: '0/1',
      lagSeconds: 0.2,
      lagBytes: 2_048,
      lastByteAgeSeconds: 3,
      outboxDepth: 0,
      outboxOldestSeconds: null,
      trouble: null,
      snapshots: [
        {
          table: 'public.accounts',
          rows: 12_000,
          done: false,
          estimatedRows: 40_000,
          rowsPerSecond: 700,
          secondsLeft: 40,
        },
        {
          table: 'public.products',
          rows: 3,
          done: true,
          estimatedRows: null,
          rowsPerSecond: null,
          secondsLeft: null,
        },
      ],
    },
    {
      system: 'erp',
      connector: 'mysql',
      source: 'halted',
      target: 'retrying',
      position: null,
      lagSeconds: null,
      lagBytes: null,
      lastByteAgeSeconds: 192,
      outboxDepth: 1_204,
      outboxOldestSeconds: 90_000,
      trouble: { code: 'source.lost', message: 'the position is gone', fix: 'carrick resync' },
      snapshots: [],
    },
  ],
  records: { customer: 1_500 },
  openConflicts: 2,
  parked: { invalid: 1, flood: 0 },
};

describe('drawing', () => {
  test('ages, sizes and values', () => {
    const ages = [null, 0.4, 12, 192, 3_600, 7_500, 90_061, 86_400 * 400];
    expect(ages.map(age)).toEqual(['–', '<1s', '12s', '3m 12s', '1h', '2h 5m', '1d 1h', '400d']);
    expect([0, 1_023, 1_536, 5 * 2 ** 30].map(bytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '5.0 GiB',
    ]);
    expect([null, '', 'x', undefined].map((v) => valueText(v))).toEqual(['NULL', "''", 'x', '']);
    expect(valueText('x'.repeat(80), 10)).toBe(`${'x'.repeat(9)}…`);
  });

  test('columns line up, wide and combining characters too', () => {
    const text = table(
      ['NAME', '>N', 'X'],
      [
        ['东京', '7', 'a'],
        ['e\u0301', '1,000', 'b'],
      ],
      plain,
    );
    expect(text).toBe('NAME      N  X\n东京      7  a\ne\u0301     1,000  b');
    expect(cellsOf('한국 ok')).toBe(7);
  });

  test('nothing out of a database reaches the terminal as a control sequence', () => {
    const text = table(['V'], [['\x1b[2J\x07owned\u202e\nx']], { ...plain, colours: true });
    expect(text).toBe('\x1b[1mV\x1b[0m\n\\u001b[2J\\u0007owned\\u202e\\nx');
    const hostile = { ...parkedRow, detail: '\x1b]0;t', key: '\x1b[1m', cells: { '\x1b': '\x9b' } };
    expect(renderParked(hostile, plain)).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(renderParkedList([hostile], plain)).not.toContain('\x1b');
  });
});

const RATE = ', 700/s, 40s left';

describe('what people read', () => {
  test('status', () => {
    expect(renderStatus(status, plain)).toBe(
      `main: running for 2h 5m

SYSTEM  CONNECTOR  SOURCE     TARGET    LAG   BEHIND  LAST BYTE  OUTBOX  OLDEST
crm     postgres   following  idle      <1s  2.0 KiB         3s       0       –
erp     mysql      halted     retrying    –        –     3m 12s   1,204   1d 1h

erp: source.lost: the position is gone
  do: carrick resync

records    1,500 customer
conflicts  2 open: carrick conflicts list --state open
parked     1 invalid
reading    crm public.accounts [#######-----------------]  30%  12,000 of about 40,000 rows${RATE}`,
    );
    const off = renderStatus({ ...status, uptimeSeconds: null }, { ...plain, colours: true });
    expect(off).toContain('\x1b[33mnot running (read from the ledger)\x1b[0m');
  });

  test('conflicts', () => {
    expect(renderConflicts([entry], plain)).toBe(
      [
        'ID     AGE  ENTITY    RECORD  UNIT     STATE    POLICY       WINNER  ',
        'INCOMING               STANDING\n',
        '12  3m 12s  customer       7  address  settled  prefer: erp  erp     ',
        'crm: High St 1, Leeds  erp: Low Rd 2, NULL',
      ].join(''),
    );
    const one = renderConflict(entry, customer, plain);
    expect(one).toContain('settled by prefer: erp, erp won');
    expect(one).toMatch(/^street +High St 1 +Low Rd 2 +Low Rd 2$/m);
    expect(one).toMatch(/^city +Leeds +NULL +NULL$/m);
    const open = { ...entry, state: 'open' as const, winner: null, outcome: null };
    expect(renderConflict(open, customer, plain)).toContain('conflicts resolve 12 --take');
    expect(renderConflict({ ...entry, entity: 'gone' }, undefined, plain)).toContain('High St 1');
  });

  test('parked items say what to do', () => {
    const text = renderParked(parkedRow, plain);
    expect(text).toContain('row 0012 of customer in crm\nsince 2026-11-23 00:02:03Z');
    expect(text).toContain('do: correct the row in its system');
    expect(text).toMatch(/^mail +ada@example\.org$/m);
    const { key: _k, cells: _c, waits: _w, ...base } = parkedRow;
    const hold = { ...base, kind: 'hold' as const, reason: 'flood', records: [3, 4] };
    expect(renderParked(hold, plain)).toContain('records 3, 4');
    expect(renderParked({ ...parkedRow, cells: null }, plain)).toContain('deleted meanwhile');
  });

  test('explain shows the systems side by side and marks what differs', () => {
    const text = renderExplanation(explanation, { ...plain, colours: true });
    expect(text).toContain('  erp: row 0012');
    expect(text).toContain('\x1b[33mOld St\x1b[0m');
    // Stored shorter by the ERP: known, and no difference.
    expect(text).not.toContain('\x1b[33mada@example.or\x1b[0m');
    expect(text).toContain('conflict 12');
    expect(text).toContain('sent in batch 5');
    expect(text).toMatch(/parked[\s\S]*history/);
  });

  test('findings: a problem outweighs what could not be checked', () => {
    const found = (outcome: 'problem' | 'unknown' | 'note') => ({
      outcome,
      check: 'postgres.wal_level',
      message: 'is replica',
      fix: 'set it to logical',
    });
    expect(verdict({ crm: [found('unknown')], erp: [found('problem')] })).toBe(1);
    expect(verdict({ crm: [found('unknown')], erp: [] })).toBe(3);
    expect(verdict({ crm: [found('note')], erp: [] })).toBe(0);
    expect(renderFindings({ crm: [found('problem')], erp: [] }, plain)).toBe(
      'crm\n  problem postgres.wal_level: is replica\n    do: set it to logical\nerp ready',
    );
  });

  test('cases', () => {
    const results = [
      { file: 'a.yaml', name: 'one', faults: [] },
      { file: 'a.yaml', name: 'two', faults: ['tier: gold instead of platinum'] },
    ];
    expect(renderCases(results, plain)).toBe(
      'failed a.yaml: two\n  tier: gold instead of platinum\n1 of 2 cases passed',
    );
  });
});

describe('personal values', () => {
  test('are masked by field, and where the fields are not known', () => {
    const masked = maskEntry(entry, entities);
    expect(masked.incoming.values).toEqual(['•••', 'Leeds']);
    expect(masked.standing.values).toEqual(['•••', null]);
    expect(masked.outcome).toEqual(['•••', null]);
    expect(maskEntry({ ...entry, unit: 'tier' }, entities).incoming.values).toEqual([
      'High St 1',
      '•••',
    ]);
    expect(maskEntry(entry, new Map()).incoming.values).toEqual(['•••', '•••']);
    const deleted = { ...entry, unit: '(record)', outcome: null };
    expect(maskEntry(deleted, entities).incoming.values).toEqual(['•••', '•••']);
  });

  test('of rows and of whole explanations leave no trace', () => {
    expect(maskParked(parkedRow, entities)).toMatchObject({ cells: { mail: '•••', note: null } });
    const text = JSON.stringify(maskExplanation(explanation, entities));
    expect(text).not.toMatch(/ada|High St|Old St|Low Rd/i);
    expect(text).toContain('Leeds');
    expect(text).toContain('gold');
  });
});

const masks = masksOf(entities);

/** Keeps what it was asked and answers with the data above. */
function recordingOperator(calls: unknown[][]): Daemon & AsyncDisposable {
  return {
    status: async () => status,
    conflicts: async ({ personal, ...filter }) => {
      calls.push(['conflicts', filter]);
      if (filter.id !== undefined && filter.id !== 12) return [];
      return [personal ? entry : masks.entry(entry)];
    },
    resolve: async (id, choice, personal) => {
      calls.push(['resolve', id, choice]);
      return { ...(personal ? entry : masks.entry(entry)), state: 'resolved' };
    },
    parked: async ({ personal, ...filter }) => {
      calls.push(['parked', filter]);
      return [personal ? parkedRow : masks.parked(parkedRow)];
    },
    retry: async (ids) => {
      calls.push(['retry', ids]);
      return ids.map((id) => ({ id, outcome: 'released' }));
    },
    discard: async (ids) => void calls.push(['discard', ids]),
    forget: async (entity, key) => {
      calls.push(['forget', entity, key]);
      return { entity, record: 7, rows: ['crm'], journal: 2, parked: 1 };
    },
    explain: async (entity, key, personal) => {
      calls.push(['explain', entity, key]);
      return [personal ? explanation : masks.explanation(explanation)];
    },
    verify: async () => ({
      checked: 1,
      next: null,
      leftOut: 0,
      held: false,
      differences: [],
      elsewhere: [],
    }),
    digest: async () => ({ never: 'no', rows: 0, next: null, sums: [], found: [] }),
    caughtUp: async () => true,
    repair: async () => ({ writes: [], journalled: 0, open: 0, parked: {} }),
    resync: async (entity, system) => {
      calls.push(['resync', entity, system]);
      return [{ system: 'erp', table: 'customers', state: 'held' }];
    },
    pause: async (name) => {
      calls.push(['pause', name]);
      return [{ kind: 'system', name: 'erp', since: NOW - 90e6 }];
    },
    resume: async (name) => {
      calls.push(['resume', name]);
      return [];
    },
    logLevel: async (level) => {
      calls.push(['logLevel', level]);
      return level ?? 'warn';
    },
    support: async () => {
      const volume = { bytes: 2, free: 1 };
      const ledger = {
        records: {},
        outbox: {},
        openConflicts: {},
        parked: {},
        bytes: 4096,
        volume,
      };
      const about = { carrick: '1', node: 'v24', platform: 'linux x64' };
      return { ...about, status, ledger, metrics: 'up 1\n', events: [] };
    },
    [Symbol.asyncDispose]: async () => void calls.push(['closed']),
  };
}

function carrick(changes: Partial<Composition> = {}, fail?: unknown) {
  const calls: unknown[][] = [];
  const composition: Composition = {
    config: { listen: { host: '127.0.0.1', port: 1 } },
    entities,
    run: async (stop) => void calls.push(['run', stop.aborted]),
    setup: async () => ['created slot carrick_main'],
    setupScript: async () => 'CREATE PUBLICATION carrick_main;\n',
    preflight: async () => ({ crm: [] }),
    operator: async () => recordingOperator(calls),
    rejoin: async (system) => {
      calls.push(['rejoin', system]);
      return { position: '0/16B3748', tables: ['accounts'] };
    },
    plan: async () => [],
    cases: async () => [],
    files: () => ({ config: { systems: '***' }, mappings: {} }),
    ...changes,
  };
  const out: string[] = [];
  const err: string[] = [];
  const loads: unknown[][] = [];
  const run = (...argv: string[]) =>
    runCommandLine(argv, {
      compose: {
        load: async (path, _env, { offline }) => {
          loads.push([path, offline]);
          if (fail !== undefined) throw fail;
          return composition;
        },
        schema: async (of) => ({ title: of }),
      },
      env: {},
      out: (text) => void out.push(text),
      err: (text) => void err.push(text),
      terminal: false,
      colours: false,
      columns: 100,
      now: () => NOW,
      stopOnSignal: () => new AbortController().signal,
      onHangup: () => {},
    });
  return { run, calls, loads, out, err, text: () => out.join('\n'), errors: () => err.join('\n') };
}

describe('the command line', () => {
  test('rejoins a system with the servers at hand', async () => {
    const { run, calls, loads, text } = carrick();
    expect(await run('rejoin', 'crm')).toBe(0);
    expect(calls).toEqual([['rejoin', 'crm']]);
    expect(loads).toEqual([['carrick.yaml', false]]);
    expect(text()).toContain('crm will be followed from 0/16B3748 on');
  });

  test('calls the operator, closes it, prints', async () => {
    const { run, calls, loads, text } = carrick();
    expect(await run('conflicts', 'list', '--state', 'open', '--limit', '5000')).toBe(0);
    expect(await run('conflicts', 'resolve', '12', '--take', 'crm')).toBe(0);
    expect(await run('conflicts', 'resolve', '12', '--set', 'a=b=c', '--set', 'note')).toBe(0);
    expect(await run('parked', 'list', '--reason', 'flood', '--before', '9')).toBe(0);
    expect(await run('parked', 'retry', '3', '4')).toBe(0);
    expect(await run('parked', 'discard', '3')).toBe(0);
    expect(await run('explain', 'customer', '0012')).toBe(0);
    expect(await run('forget', 'customer', '0012', '--system', 'erp')).toBe(0);
    expect(await run('resync', 'customer')).toBe(0);
    expect(await run('resync', 'customer', '--system', 'erp')).toBe(0);
    expect(calls.filter(([name]) => name !== 'closed')).toEqual([
      ['conflicts', { state: 'open', limit: 1_000 }],
      ['resolve', 12, { take: 'crm' }],
      ['resolve', 12, { values: { a: 'b=c', note: null } }],
      ['parked', { state: 'flood', before: 9, limit: 50 }],
      ['retry', [3, 4]],
      ['discard', [3]],
      ['explain', 'customer', '0012'],
      ['forget', 'customer', 'erp:0012'],
      ['resync', 'customer', null],
      ['resync', 'customer', 'erp'],
    ]);
    expect(calls.filter(([name]) => name === 'closed')).toHaveLength(10);
    expect(loads.every(([path, offline]) => path === 'carrick.yaml' && offline === true)).toBe(
      true,
    );
    expect(text()).toContain('discarded 3');
    expect(choiceOf(undefined, ['x='])).toEqual({ values: { x: '' } });
  });

  test('pauses, resumes, changes the log level', async () => {
    const { run, calls, text, errors } = carrick();
    expect(await run('pause', 'erp')).toBe(0);
    expect(text()).toMatch(/system +erp +1m 30s/);
    expect(await run('pause')).toBe(0);
    expect(await run('resume')).toBe(0);
    expect(text()).toContain('nothing is paused');
    expect(await run('log-level', 'debug')).toBe(0);
    expect(await run('log-level')).toBe(0);
    expect(text()).toMatch(/debug\nwarn$/);
    expect(await run('log-level', 'loud')).toBe(2);
    expect(errors()).toContain('loud');
    expect(calls.filter(([name]) => name !== 'closed')).toEqual([
      ['pause', 'erp'],
      ['pause', null],
      ['resume', null],
      ['logLevel', 'debug'],
      ['logLevel', null],
    ]);
  });

  test('masks personal values, in tables and in JSON, unless asked not to', async () => {
    for (const command of [
      ['conflicts', 'list'],
      ['conflicts', 'show', '12'],
      ['conflicts', 'resolve', '12', '--take', 'crm'],
      ['parked', 'show', '40'],
      ['explain', 'customer', 'a-1'],
    ]) {
      for (const json of [[], ['--json']]) {
        const hidden = carrick();
        expect(await hidden.run(...command, ...json)).toBe(0);
        expect(hidden.text(), command.join(' ')).not.toMatch(/ada@|High St|Low Rd/);
        const shown = carrick();
        await shown.run(...command, ...json, '--show-personal');
        expect(shown.text(), command.join(' ')).toMatch(/ada@|High St/);
      }
    }
  });

  test('prints JSON that can be read', async () => {
    const { run, out } = carrick();
    await run('status', '--json');
    expect(JSON.parse(out[0]!)).toEqual(status);
    await run('schema', 'mapping');
    expect(JSON.parse(out[1]!)).toEqual({ title: 'mapping' });
  });

  test.each([
    ['carrick.yaml', ['run']],
    ['other.yaml', ['run', '--config', 'other.yaml']],
    ['other.yaml', ['run', '--json', '--config=other.yaml']],
    ['other.yaml', ['--config', 'other.yaml', 'run']],
  ])('run loads %s with the servers and hands the signal on: %j', async (file, line) => {
    const { run, calls, loads } = carrick();
    expect(await run(...line)).toBe(0);
    expect(loads).toEqual([[file, false]]);
    expect(calls).toEqual([['run', false]]);
  });

  test('setup and check', async () => {
    const { run, out, loads } = carrick();
    expect(await run('setup')).toBe(0);
    expect(await run('setup', '--print')).toBe(0);
    expect(await run('check')).toBe(0);
    expect(await run('check', '--offline')).toBe(0);
    expect(out.slice(0, 2)).toEqual([
      'created slot carrick_main',
      'CREATE PUBLICATION carrick_main;',
    ]);
    expect(out[2]).toContain('crm ready');
    expect(out[3]).not.toContain('crm');
    expect(loads.map(([, offline]) => offline)).toEqual([false, true, false, true]);
  });

  test('the exit code says what is wrong', async () => {
    expect(await carrick().run('status')).toBe(4);
    expect(await carrick().run('conflicts', 'show', '13')).toBe(1);
    const failing = { file: 'a', name: 'b', faults: ['c'] };
    expect(await carrick({ cases: async () => [failing] }).run('test')).toBe(1);
    const mistakes = Object.assign(new Error('2 problems'), { text: 'carrick.yaml:3:5: …\n' });
    const wrong = carrick({}, mistakes);
    expect(await wrong.run('check')).toBe(2);
    expect(wrong.err).toEqual(['carrick.yaml:3:5: …']);
    expect(await carrick({}, retry('source.unreachable', 'm', 'f')).run('run')).toBe(3);
    expect(await carrick({}, halt('source.lost', 'm', 'f')).run('run')).toBe(4);
    expect(await carrick({}, new TypeError('x')).run('run')).toBe(5);
    expect(exitOf(new CarrickError('http.token', 'park', 'm', 'f'))).toBe(2);
    expect(exitOf(new CarrickError('operator.unknown', 'park', 'm', 'f'))).toBe(1);
  });

  test('errors tell code, message and fix, and no stack', async () => {
    const lost = carrick({}, halt('source.lost', 'the slot is gone', 'resync'));
    await lost.run('run');
    expect(lost.errors()).toBe('source.lost: the slot is gone\n  do: resync');
    const json = carrick({}, halt('source.lost', 'the slot is gone', 'resync'));
    await json.run('status', '--json');
    expect(JSON.parse(json.errors())).toEqual({
      code: 'source.lost',
      message: 'the slot is gone',
      fix: 'resync',
    });
    const defect = carrick({}, new TypeError('row value'));
    await defect.run('run');
    expect(defect.errors()).not.toMatch(/row value|at /);
    expect(defect.errors()).toContain('CARRICK_DEBUG=1');
  });

  test.each([
    [['stauts'], /status/],
    [['status', '--jsn'], /jsn/],
    [['run', '--confg', 'a.yaml'], /confg/],
    [['run', 'now'], /now/],
    [['run', '--config'], /config/],
    [[], /say which command/],
    [['conflicts'], /list, show or resolve/],
    [['conflicts', 'show', 'x'], /greater than 0/],
    [['conflicts', 'list', '--limit', '0'], /greater than 0/],
    [['conflicts', 'resolve', '3'], /--take or --set/],
    [['conflicts', 'resolve', '3', '--take', 'crm', '--set', 'a=b'], /mutually exclusive/],
    [['parked', 'retry', '1', '1.5'], /greater than 0/],
    [['parked', 'discard'], /argument/],
    [['explain', 'customer'], /argument/],
  ])('%j is bad usage', async (argv, message) => {
    const { run, calls, loads, errors } = carrick();
    expect(await run(...argv)).toBe(2);
    expect(errors()).toMatch(message);
    expect([...calls, ...loads]).toEqual([]);
  });

  test('help tells the exit codes and how stopping works', async () => {
    const { run, text, loads } = carrick();
    expect(await run('--help')).toBe(0);
    expect(text()).toMatch(/4 {2}halted/);
    expect(text()).toContain('stops within 30 s');
    expect(loads).toEqual([]);
  });
});

test('healthcheck asks the listener and knows two answers', async () => {
  let lastByteAgeSeconds = 1;
  const vital = { system: 'crm', source: 'following', target: 'idle' };
  const server = await serve({
    listen: { host: '127.0.0.1', port: 0 },
    apiToken: () => 'token',
    metrics: createMetrics('1'),
    act: (use) => use(recordingOperator([])),
    vitals: () => [{ ...vital, lastByteAgeSeconds, sourceMovedSeconds: 0, targetMovedSeconds: 0 }],
    upSeconds: () => 1,
    log: createLog('error', { write: () => {} }),
  });
  const config = { listen: { host: '127.0.0.1', port: Number(new URL(server.url).port) } };
  expect(await carrick({ config }).run('healthcheck')).toBe(0);
  lastByteAgeSeconds = 99;
  const ill = carrick({ config });
  expect(await ill.run('healthcheck')).toBe(1);
  expect(ill.text()).toContain('source silent for 99 s');
  await server[Symbol.asyncDispose]();
  expect(await carrick({ config }).run('healthcheck')).toBe(1);
  expect(await carrick({}, new Error('no config')).run('healthcheck')).toBe(1);
});
