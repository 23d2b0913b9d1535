/** Looks at Carrick while it suffers: what troubles it tells of, and that it never gives up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from './world.ts';

export interface Watch {
  /** Error codes that `status` has shown, with how often it was looked at meanwhile. */
  readonly troubles: ReadonlyMap<string, number>;
  /** Loops that gave up, which no fault of a storm is a reason for. */
  readonly halts: ReadonlySet<string>;
  stop(): Promise<void>;
}

const LOOK_MS = 500;

export function startWatch(world: World): Watch {
  const troubles = new Map<string, number>();
  const halts = new Set<string>();
  const stop = new AbortController();
  const looking = (async () => {
    while (!stop.signal.aborted) {
      const status = await world.carrick.operator.status().catch(() => null);
      for (const { system, source, target, trouble } of status?.systems ?? []) {
        if (trouble === null) continue;
        troubles.set(trouble.code, (troubles.get(trouble.code) ?? 0) + 1);
        if (source !== 'halted' && target !== 'halted') continue;
        halts.add(`${system} ${source}/${target}: ${trouble.code} ${trouble.message}`);
      }
      await sleep(LOOK_MS);
    }
  })();
  return {
    troubles,
    halts,
    async stop() {
      stop.abort();
      await looking;
    },
  };
}
