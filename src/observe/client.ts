import type { Daemon } from '../contract/controls.ts';
import { CarrickError } from '../errors.ts';

const TIMEOUT_MS = 30_000;

/**
 * The {@link Daemon} that listens at `url` (`http://127.0.0.1:9464`).
 * Errors are those of the daemon, with code, message and fix; `operator.unreachable` (retry) when
 * nothing answers there or what answers is no Carrick.
 */
export function operatorAt(url: string, token: () => string | null): Daemon {
  const call = async <T>(method: keyof Daemon, body: object): Promise<T> => {
    const response = await post(`${url}/api/${method}`, token(), body);
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok && answer !== undefined) return answer as T;
    const { code, message, fix } = (answer ?? {}) as Record<string, unknown>;
    if (typeof code !== 'string') throw unreachable(`${url} answers, but not as Carrick does`);
    const disposition = response.status === 503 ? 'retry' : 'park';
    throw new CarrickError(code, disposition, String(message), String(fix));
  };
  return {
    status: () => call('status', {}),
    conflicts: (filter) => call('conflicts', filter),
    resolve: (id, choice, personal) => call('resolve', { id, choice, personal }),
    parked: (filter) => call('parked', filter),
    retry: (ids) => call('retry', { ids }),
    discard: async (ids) => {
      await call('discard', { ids });
    },
    forget: (entity, key) => call('forget', { entity, key }),
    explain: (entity, key, personal) => call('explain', { entity, key, personal }),
    resync: (entity, system, where = null) => call('resync', { entity, system, where }),
    verify: (entity, system, part, personal) => call('verify', { entity, system, part, personal }),
    digest: (entity, system, part) => call('digest', { entity, system, part }),
    caughtUp: (entity) => call('caughtUp', { entity }),
    repair: (request) => call('repair', request),
    pause: (name) => call('pause', { name }),
    resume: (name) => call('resume', { name }),
    logLevel: (level) => call('logLevel', { level }),
    support: () => call('support', {}),
  };
}

async function post(url: string, token: string | null, body: object): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw unreachable(`nothing answers at ${new URL(url).origin}`, error);
  }
}

const unreachable = (message: string, cause?: unknown) =>
  new CarrickError(
    'operator.unreachable',
    'retry',
    message,
    'start the daemon with `carrick run`, or see that `listen` is the same as its own',
    { cause },
  );
