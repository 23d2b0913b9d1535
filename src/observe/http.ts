import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Daemon } from '../contract/controls.ts';
import { CarrickError } from '../errors.ts';
import { admit, type Listen } from './access.ts';
import { callMethod } from './api.ts';
import { health, readiness, type Vital } from './health.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { troubleOf } from './trouble.ts';

/** An `import` of it reads its lazy members too, and with them loads all of `fetch`: 13 MiB. */
const { createServer } = process.getBuiltinModule('node:http');

export interface Served {
  readonly listen: Listen;
  /** Asked for by everyone who calls `/api`. */
  readonly apiToken: () => string;
  readonly metrics: Metrics;
  /** Lets a call act, now or as soon as there is something to act on. */
  readonly act: <R>(use: (daemon: Daemon) => Promise<R>) => Promise<R>;
  readonly vitals: () => readonly Vital[];
  readonly upSeconds: () => number;
  readonly log: Log;
}

export interface HttpServer extends AsyncDisposable {
  /** With the port that was taken: `http://127.0.0.1:9464`. */
  readonly url: string;
}

const MAX_BODY_BYTES = 64 * 1024;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz` to everyone, and `POST /api/<method>` of the
 * {@link Daemon} to whom `admit` lets pass. Disposing it ends open connections.
 * Errors: `http.listen` (halt) when the address cannot be listened on.
 */
export async function serve(served: Served): Promise<HttpServer> {
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (req, res) => {
    void respond(served, req, res);
  });
  server.listen(served.listen.port, served.listen.host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new CarrickError(
      'http.listen',
      'halt',
      `cannot listen: ${troubleOf(error).message}`,
      'free the address (is another Carrick running?) or change `listen`',
      { cause: error },
    );
  }
  const { port } = server.address() as AddressInfo;
  const url = urlOf({ host: served.listen.host, port });
  served.log.event('http.listening', { address: url });
  return {
    url,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Where a listener is reached from its own machine. */
export function urlOf({ host, port }: Listen): string {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
}

async function respond(
  served: Served,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  let answer: Answer;
  try {
    answer = await answerTo(served, request, path);
  } catch (error) {
    const trouble = troubleOf(error);
    const status = STATUS[trouble.code] ?? statusOf(error);
    if (status >= 500) served.log.event('http.failed', { path, ...trouble });
    answer = json(status, trouble);
  }
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // What is left of a body that was refused is not read.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? '' : answer.body);
}

const STATUS: Readonly<Record<string, number>> = {
  'http.body': 400,
  'operator.where': 400,
  'http.token': 401,
  'http.path': 404,
  'http.method': 404,
  'http.verb': 405,
  'http.too_large': 413,
  'http.type': 415,
  'operator.unknown': 404,
};

function statusOf(error: unknown): number {
  if (!(error instanceof CarrickError)) return 500;
  if (error.disposition === 'retry') return 503;
  return error.code.startsWith('operator.') ? 409 : 500;
}

async function answerTo(served: Served, request: IncomingMessage, path: string): Promise<Answer> {
  if (path.startsWith('/api/')) {
    verb(request, 'POST');
    admit(request, served.apiToken());
    const body = await readJson(request);
    const method = path.slice('/api/'.length);
    return json(200, await served.act((daemon) => callMethod(daemon, method, body)));
  }
  verb(request, 'GET', 'HEAD');
  if (path === '/metrics') {
    const { metrics } = served;
    return { status: 200, type: metrics.contentType, body: await metrics.render() };
  }
  if (path === '/healthz' || path === '/readyz') {
    const vitals = served.vitals();
    const found = path === '/healthz' ? health(vitals, served.upSeconds()) : readiness(vitals);
    return json(found.ok ? 200 : 503, found);
  }
  throw new CarrickError(
    'http.path',
    'park',
    'nothing is served here',
    'use /metrics, /healthz, /readyz or POST /api/<method>',
  );
}

function verb(request: IncomingMessage, ...allowed: string[]): void {
  if (allowed.includes(request.method ?? '')) return;
  throw new CarrickError('http.verb', 'park', 'wrong HTTP method', `use ${allowed.join(' or ')}`);
}

/** Only JSON: what a form of a foreign page can send without asking is refused. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new CarrickError(
      'http.type',
      'park',
      'the body is not JSON',
      'send it with `content-type: application/json`',
    );
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    bytes += (part as Buffer).length;
    if (bytes > MAX_BODY_BYTES) {
      throw new CarrickError(
        'http.too_large',
        'park',
        'the body is larger than 64 KiB',
        'ask for less at once',
      );
    }
    parts.push(part as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new CarrickError('http.body', 'park', 'the body is not JSON', 'send a JSON object');
  }
}

const json = (status: number, body: unknown): Answer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(body)}\n`,
});
