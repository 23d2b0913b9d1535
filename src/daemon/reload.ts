import type { Config } from '../config/load.ts';
import { digestNow, digestOf } from '../config/sources.ts';
import type { ReloadStatus, Trouble } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { troubleOf } from '../observe/trouble.ts';
import { askedOf, ConfigProblems, closeAll, type Parts } from './parts.ts';

/** Files are looked at so often; a change counts once two looks in a row found the same. */
const LOOK_MS = 1000;

export interface Reloads extends Disposable {
  /**
   * The next configuration to take the place of `running`: after a SIGHUP or a change of the files,
   * read and checked whole. One that is refused leaves everything as it is, and says why.
   */
  next(running: Parts): Promise<Parts>;
  status(): ReloadStatus;
}

export interface Reloading {
  readonly load: () => Promise<Parts>;
  readonly onHangup: (act: () => void) => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

export function openReloads({ load, onHangup, log, metrics }: Reloading): Reloads {
  let status: ReloadStatus = { at: Date.now() * 1000, refused: null };
  for (const outcome of ['applied', 'refused']) {
    metrics.add('carrick_reloads_total', { outcome }, 0);
  }
  let over = false;
  let hungUp = false;
  let look: () => void = () => {};
  onHangup(() => {
    hungUp = true;
    look();
  });
  const timer = setInterval(() => look(), LOOK_MS);
  timer.unref();

  /** What was read or refused last: only something else is read again by itself. */
  let judged: string | null = null;
  const change = (running: Parts): Promise<'SIGHUP' | 'files'> =>
    new Promise((resolve) => {
      const { sources } = running.config;
      judged ??= digestOf(sources.texts);
      let before = judged;
      look = () => {
        const now = digestNow(sources);
        const settled = now === before && now !== judged;
        before = now;
        if (!hungUp && !settled) return;
        if (!hungUp && now === digestOf(sources.texts)) {
          // Put back as it was: nothing is refused any more.
          judged = now;
          status = { ...status, refused: null };
          return;
        }
        const cause = hungUp ? 'SIGHUP' : 'files';
        hungUp = false;
        look = () => {};
        judged = now;
        resolve(cause);
      };
      if (hungUp) look();
    });

  return {
    async next(running) {
      for (;;) {
        const cause = await change(running);
        try {
          const parts = await checked(running, load);
          if (over) {
            await closeAll(parts);
            return running;
          }
          status = { at: Date.now() * 1000, refused: null };
          judged = null;
          metrics.add('carrick_reloads_total', { outcome: 'applied' }, 1);
          log.event('reload.applied', { cause, entities: parts.entities.length });
          return parts;
        } catch (error) {
          if (over) return running;
          const refused = reasonOf(error);
          status = { ...status, refused };
          metrics.add('carrick_reloads_total', { outcome: 'refused' }, 1);
          log.event('reload.refused', { cause, ...refused });
        }
      }
    },
    status: () => status,
    [Symbol.dispose]() {
      over = true;
      clearInterval(timer);
    },
  };
}

/** Everything that a start would find wrong is found before the running daemon is touched. */
async function checked(running: Parts, load: () => Promise<Parts>): Promise<Parts> {
  const parts = await load();
  try {
    refuseFixed(running.config, parts.config);
    for (const { name, system, needs } of askedOf(parts)) {
      const findings = await system.preflight(needs);
      const problem = findings.find(({ outcome }) => outcome === 'problem');
      if (problem === undefined) continue;
      throw new CarrickError(
        'config.unready',
        'park',
        `${name}: ${problem.check}: ${problem.message}`,
        problem.fix,
      );
    }
    return parts;
  } catch (error) {
    await closeAll(parts);
    throw error;
  }
}

/** What is bound to the process or to its file of state. */
function refuseFixed(old: Config, next: Config): void {
  const fixed = ['listen', 'ledger', 'instance'] as const;
  const changed = fixed.filter((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]));
  if (changed.length === 0) return;
  throw new CarrickError(
    'config.fixed',
    'park',
    `\`${changed.join('`, `')}\` cannot change while the daemon runs`,
    'put it back, or restart the daemon',
  );
}

const reasonOf = (error: unknown): Trouble =>
  error instanceof ConfigProblems
    ? {
        code: 'config.invalid',
        message: error.message,
        fix: 'see `carrick check --offline`; until it is right, the old configuration goes on',
      }
    : troubleOf(error);
