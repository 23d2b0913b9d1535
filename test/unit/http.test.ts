import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Daemon } from '../../src/contract/controls.ts';
import type { Choice, ListFilter, Status } from '../../src/contract/operator.ts';
import { CarrickError } from '../../src/errors.ts';
import { operatorAt } from '../../src/observe/client.ts';
import { health, readiness, type Vital } from '../../src/observe/health.ts';
import { type HttpServer, type Served, serve, urlOf } from '../../src/observe/http.ts';
import { createLog } from '../../src/observe/log.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { openToken, tokenBeside } from '../../src/observe/token.ts';

const TOKEN = 'token-of-the-test';

const vital: Vital = {
  system: 'crm',
  source: 'following',
  target: 'idle',
  lastByteAgeSeconds: 2,
  sourceMovedSeconds: 1,
  targetMovedSeconds: 3,
};

const status: Status = {
  instance: 'main',
  uptimeSeconds: 12,
  reload: null,
  paused: [],
  systems: [],
  records: { customer: 3 },
  openConflicts: 1,
  parked: { invalid: 2 },
};

/** Keeps what it was asked, answers with it. */
function recordingOperator() {
  const calls: unknown[][] = [];
  const operator: Daemon = {
    async status() {
      calls.push(['status']);
      return status;
    },
    async conflicts(filter: ListFilter) {
      calls.push(['conflicts', filter]);
      return [];
    },
    async resolve(id: number, choice: Choice) {
      calls.push(['resolve', id, choice]);
      throw new CarrickError('operator.unknown', 'park', `no conflict ${id}`, 'list them');
    },
    async parked() {
      throw Object.assign(new Error("Duplicate entry 'ada@example.org'"), { code: 'ER_DUP' });
    },
    async retry(ids) {
      calls.push(['retry', ids]);
      return ids.map((id) => ({ id, outcome: 'done' }));
    },
    async discard(ids) {
      calls.push(['discard', ids]);
    },
    async forget(entity, key) {
      calls.push(['forget', entity, key]);
      return { entity, record: 1, rows: [], journal: 0, parked: 0 };
    },
    async explain(entity, key) {
      calls.push(['explain', entity, key]);
      throw new CarrickError('ledger.busy', 'retry', 'busy', 'again');
    },
    async verify(entity, system, part) {
      calls.push(['verify', entity, system, part]);
      return { checked: 0, next: null, leftOut: 0, held: false, differences: [], elsewhere: [] };
    },
    digest: async () => ({ never: 'no', rows: 0, next: null, sums: [], found: [] }),
    caughtUp: async () => true,
    repair: async () => ({ writes: [], journalled: 0, open: 0, parked: {} }),
    async resync(entity, system) {
      calls.push(['resync', entity, system]);
      return [{ system: system ?? 'crm', table: 'public.accounts', state: 'begun' }];
    },
    async pause(name) {
      calls.push(['pause', name]);
      return [];
    },
    async resume(name) {
      calls.push(['resume', name]);
      return [];
    },
    async logLevel(level) {
      calls.push(['logLevel', level]);
      return 'debug';
    },
    async support() {
      throw new Error('not asked for here');
    },
  };
  return { calls, operator };
}

let server: HttpServer | undefined;
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

async function start(changes: Partial<Served> = {}) {
  const recording = recordingOperator();
  const lines: string[] = [];
  server = await serve({
    listen: { host: '127.0.0.1', port: 0 },
    apiToken: () => TOKEN,
    metrics: createMetrics('1'),
    act: (use) => use(recording.operator),
    vitals: () => [vital],
    upSeconds: () => 100,
    log: createLog('info', { write: (line: string) => void lines.push(line) }),
    ...changes,
  });
  return { ...recording, url: server.url, lines };
}

const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
  });

describe('the operator over HTTP', () => {
  test('every method arrives as it was called', async () => {
    const { url, calls } = await start();
    const client = operatorAt(url, () => TOKEN);
    expect(await client.status()).toEqual(status);
    expect(await client.conflicts({ state: 'open', entity: 'customer', limit: 5 })).toEqual([]);
    expect(await client.retry([4, 2])).toEqual([
      { id: 4, outcome: 'done' },
      { id: 2, outcome: 'done' },
    ]);
    expect(await client.discard([9])).toBeUndefined();
    await expect(client.resolve(7, { values: { tier: null, city: 'Å' } })).rejects.toMatchObject({
      code: 'operator.unknown',
      disposition: 'park',
      message: 'no conflict 7',
      fix: 'list them',
    });
    await expect(client.explain('customer', '["a","b"]')).rejects.toMatchObject({
      code: 'ledger.busy',
      disposition: 'retry',
    });
    expect(await client.resync('customer', null)).toEqual([
      { system: 'crm', table: 'public.accounts', state: 'begun' },
    ]);
    await client.verify('customer', 'crm', { kind: 'keys', keys: ['7'] });
    await client.pause('erp');
    await client.resume(null);
    expect(await client.logLevel('debug')).toBe('debug');
    expect(calls).toEqual([
      ['status'],
      ['conflicts', { state: 'open', entity: 'customer', limit: 5 }],
      ['retry', [4, 2]],
      ['discard', [9]],
      ['resolve', 7, { values: { tier: null, city: 'Å' } }],
      ['explain', 'customer', '["a","b"]'],
      ['resync', 'customer', null],
      ['verify', 'customer', 'crm', { kind: 'keys', keys: ['7'] }],
      ['pause', 'erp'],
      ['resume', null],
      ['logLevel', 'debug'],
    ]);
  });

  test('an unexpected error is logged and answered without its message', async () => {
    const { url, lines } = await start();
    const error = await operatorAt(url, () => TOKEN)
      .parked({ limit: 1 })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'internal' });
    expect(`${lines.join('')}${String(error)}`).not.toContain('ada@');
    expect(lines.join('')).toContain('"event":"http.failed"');
  });

  test('says so when nothing, or something else, answers', async () => {
    const { url } = await start();
    const other = operatorAt(`${url}/metrics#`, () => TOKEN);
    await expect(other.status()).rejects.toMatchObject({ code: 'http.verb' });
    await server?.[Symbol.asyncDispose]();
    server = undefined;
    await expect(operatorAt(url, () => TOKEN).status()).rejects.toMatchObject({
      code: 'operator.unreachable',
      disposition: 'retry',
    });
  });

  test('wrong bodies and methods are refused before the operator is asked', async () => {
    const { url, calls } = await start();
    const code = async (response: Promise<Response>) => {
      const { status: http } = await response;
      return [http, ((await (await response).json()) as { code: string }).code];
    };
    const bad = (path: string, body: string) => code(post(`${url}/api/${path}`, body));
    expect(await bad('conflicts', '{}')).toEqual([400, 'http.body']);
    expect(await bad('conflicts', '{"limit":5000}')).toEqual([400, 'http.body']);
    expect(await bad('resolve', '{"id":1,"choice":{"take":"a","values":{}}}')).toEqual([
      400,
      'http.body',
    ]);
    expect(await bad('retry', '{"ids":[]}')).toEqual([400, 'http.body']);
    expect(await bad('status', 'no json')).toEqual([400, 'http.body']);
    expect(await bad('toString', '{}')).toEqual([404, 'http.method']);
    expect(await bad('status', `{"x":"${'y'.repeat(70_000)}"}`)).toEqual([413, 'http.too_large']);
    const form = { 'content-type': 'text/plain' };
    expect(await code(post(`${url}/api/status`, '{}', form))).toEqual([415, 'http.type']);
    expect(await code(fetch(`${url}/api/status`))).toEqual([405, 'http.verb']);
    expect(await code(fetch(`${url}/nothing`))).toEqual([404, 'http.path']);
    expect(calls).toEqual([]);
  });
});

describe('who may call', () => {
  test('with a token only its holder', async () => {
    const { url, calls } = await start({ apiToken: () => 's3cret' });
    await expect(operatorAt(url, () => null).status()).rejects.toMatchObject({
      code: 'http.token',
    });
    await expect(operatorAt(url, () => 's3cre').status()).rejects.toMatchObject({
      code: 'http.token',
    });
    await expect(operatorAt(url, () => 's3cret2').discard([1])).rejects.toMatchObject({
      code: 'http.token',
    });
    expect(calls).toEqual([]);
    expect(await operatorAt(url, () => 's3cret').status()).toEqual(status);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test('a token of its own lies beside the ledger while the daemon runs, for its user', () => {
    const folder = mkdtempSync(join(tmpdir(), 'carrick-token-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const ledger = join(folder, 'carrick.db');
    // What a killed daemon left behind, readable by all.
    writeFileSync(`${ledger}-token`, 'old', { mode: 0o644 });
    const own = openToken(ledger);
    expect(own.token).toHaveLength(43);
    expect(tokenBeside(ledger)).toBe(own.token);
    expect(statSync(`${ledger}-token`).mode & 0o777).toBe(0o600);
    own[Symbol.dispose]();
    expect(tokenBeside(ledger)).toBeNull();
  });

  test('addresses', () => {
    expect(urlOf({ host: '::', port: 1 })).toBe('http://[::1]:1');
    expect(urlOf({ host: '0.0.0.0', port: 1 })).toBe('http://127.0.0.1:1');
  });
});

describe('health', () => {
  test('is served with the age of the last byte, 503 when something is wrong', async () => {
    let vitals: Vital[] = [vital];
    const { url } = await start({ vitals: () => vitals });
    const well = await fetch(`${url}/healthz`);
    expect(well.status).toBe(200);
    expect(await well.json()).toMatchObject({
      ok: true,
      systems: { crm: { lastByteAgeSeconds: 2, faults: [] } },
    });
    vitals = [vital, { ...vital, system: 'erp', source: 'retrying', lastByteAgeSeconds: 61 }];
    const ill = await fetch(`${url}/healthz`);
    expect(ill.status).toBe(503);
    expect(await ill.json()).toMatchObject({
      ok: false,
      systems: { crm: { faults: [] }, erp: { faults: ['source silent for 61 s'] } },
    });
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    expect((await fetch(`${url}/healthz`, { method: 'HEAD' })).status).toBe(503);
  });

  test('what is wrong', () => {
    const faults = (changes: Partial<Vital>, up = 100) =>
      health([{ ...vital, ...changes }], up).systems.crm?.faults;
    expect(faults({ lastByteAgeSeconds: 60 })).toEqual([]);
    expect(faults({ lastByteAgeSeconds: null }, 30)).toEqual([]);
    expect(faults({ lastByteAgeSeconds: null }, 61)).toEqual(['source silent for 61 s']);
    expect(faults({ sourceMovedSeconds: 90 })).toEqual(['source loop stuck for 90 s']);
    expect(faults({ target: 'retrying' })).toEqual([]);
    expect(faults({ target: 'halted', targetMovedSeconds: 70 })).toEqual([
      'target halted',
      'target loop stuck for 70 s',
    ]);
    expect(readiness([{ ...vital, target: 'retrying' }]).ok).toBe(false);
    expect(readiness([{ ...vital, lastByteAgeSeconds: null }]).ok).toBe(false);
    expect(readiness([{ ...vital, source: 'snapshot', target: 'delivering' }]).ok).toBe(true);
  });
});

test('an address that is taken is refused with the way out', async () => {
  const { url } = await start();
  const port = Number(new URL(url).port);
  const taken = serve({
    listen: { host: '127.0.0.1', port },
    apiToken: () => TOKEN,
    metrics: createMetrics('1'),
    act: (use) => use(recordingOperator().operator),
    vitals: () => [],
    upSeconds: () => 0,
    log: createLog('error', { write: () => {} }),
  });
  await expect(taken).rejects.toMatchObject({ code: 'http.listen', disposition: 'halt' });
});

test('closing ends connections that are still open', async () => {
  const { url } = await start();
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  await server?.[Symbol.asyncDispose]();
  server = undefined;
  await ended;
});
