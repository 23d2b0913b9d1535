/** A private database server under a test's control, and its stand-in when a URL replaces it. */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'vitest';
import { freePort } from './port.ts';
import { hasEnded, killTree, spawnServer } from './process.ts';
import { removeFolder } from './run.ts';

export type StopMode = 'clean' | 'immediate';

/**
 * A running database server. `url` names a database that is empty at first and gone at the end;
 * its user may do everything. Port and data survive stop, kill and restart.
 */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The data folder on this machine; undefined when a URL replaced the private server. */
  readonly dataDir: string | undefined;
  /** The variable whose URL replaced the private server: then the calls below throw. */
  readonly replacedBy: string | undefined;
  /** `clean` flushes and disconnects; `immediate` is a fast abort that needs recovery. */
  stop(mode?: StopMode): Promise<void>;
  /** Resolves once the server answers queries; after a crash, once recovery is done. */
  start(): Promise<void>;
  restart(): Promise<void>;
  /** kill -9 of the server with all its processes at once. Committed transactions survive. */
  kill(): Promise<void>;
}

/** What differs between the database products. */
export interface Engine {
  readonly name: string;
  command(folder: string, port: number): readonly string[];
  url(port: number): string;
  /** Resolves when the server answers a query, rejects while it does not. */
  probe(url: string): Promise<void>;
  readonly signals: Readonly<Record<StopMode, NodeJS.Signals>>;
  /** Frees what a killed server leaves outside its folder. */
  release?(folder: string): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 15;

/**
 * Starts a server on a ready data folder `folder/data`. When disposed the folder is removed, or,
 * where it is to be kept, the server is stopped cleanly.
 */
export async function privateServer(
  engine: Engine,
  folder: string,
  kept = false,
): Promise<TestServer> {
  let port = await freePort();
  let child = await launch(engine, folder, port);
  for (let attempt = 1; child === undefined; attempt++) {
    // Only another process that took the port in between is worth a second try.
    const log = await logTail(folder);
    if (attempt === 3 || !/address already in use/i.test(log)) throw failure(engine, log);
    port = await freePort();
    child = await launch(engine, folder, port);
  }
  const server: TestServer = {
    url: engine.url(port),
    host: '127.0.0.1',
    port,
    dataDir: join(folder, 'data'),
    replacedBy: undefined,
    async stop(mode = 'clean') {
      if (child === undefined || hasEnded(child)) return;
      child.kill(engine.signals[mode]);
      await ended(engine, child);
    },
    async start() {
      if (child !== undefined && !hasEnded(child)) return;
      child = await launch(engine, folder, port);
      if (child === undefined) throw failure(engine, await logTail(folder));
    },
    async restart() {
      await server.stop();
      await server.start();
    },
    async kill() {
      if (child !== undefined) await killTree(child);
    },
    async [Symbol.asyncDispose]() {
      if (child !== undefined) child.kill('SIGCONT');
      await server.stop(kept ? 'clean' : 'immediate');
      await engine.release?.(folder);
      if (!kept) removeFolder(folder);
    },
  };
  return server;
}

/** A server that somebody else runs: the calls that would stop or start it throw. */
export function replacedServer(
  variable: string,
  url: string,
  dispose: () => Promise<void>,
): TestServer {
  const { hostname, port } = new URL(url);
  const refuse = async (): Promise<never> => {
    throw new Error(`${variable} replaces the private server: a test cannot stop or start it`);
  };
  return {
    url,
    host: hostname,
    port: Number(port || (url.startsWith('postgres') ? 5432 : 3306)),
    dataDir: undefined,
    replacedBy: variable,
    stop: refuse,
    start: refuse,
    restart: refuse,
    kill: refuse,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Skips the test, saying why, unless it may stop and start `server`. */
export function needsControl(context: TestContext, server: TestServer): void {
  const variable = server.replacedBy;
  context.skip(
    variable !== undefined,
    `needs to stop and start the server, but ${variable} names one that somebody else runs`,
  );
}

/** The process once it answers queries, or undefined if it ended first. */
async function launch(
  engine: Engine,
  folder: string,
  port: number,
): Promise<ChildProcess | undefined> {
  const child = spawnServer(engine.command(folder, port), folder, join(folder, 'log'));
  const deadline = Date.now() + START_TIMEOUT_MS;
  let refusal: unknown;
  while (!hasEnded(child) && child.pid !== undefined) {
    if (Date.now() > deadline) {
      await killTree(child);
      throw failure(engine, await logTail(folder), refusal);
    }
    try {
      await engine.probe(engine.url(port));
      return hasEnded(child) ? undefined : child;
    } catch (error) {
      refusal = error;
      await sleep(POLL_MS);
    }
  }
  return undefined;
}

async function ended(engine: Engine, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (!hasEnded(child)) {
    if (Date.now() > deadline) {
      await killTree(child);
      throw new Error(`${engine.name} did not stop within ${STOP_TIMEOUT_MS / 1000} s`);
    }
    await sleep(POLL_MS);
  }
}

async function logTail(folder: string): Promise<string> {
  const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
  return log.slice(-2000);
}

function failure(engine: Engine, log: string, cause?: unknown): Error {
  return new Error(`${engine.name} did not start; the end of its log:\n${log}`, { cause });
}
