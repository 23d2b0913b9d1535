/** How a run goes on, whichever world it is about. */
import { unreachable } from './connector.ts';
import type { Random } from './random.ts';
import type { Fault } from './scenario.ts';
import { type Line, type Scheduler, settled } from './scheduler.ts';
import type { SimulatedSystem } from './system.ts';
import { count, type Figures, Violation } from './world.ts';

interface Course {
  readonly scheduler: Scheduler;
  readonly figures: Figures;
  readonly downUntil: Map<string, number>;
  readonly jumps: Map<string, number>;
  readonly systems: ReadonlyMap<string, SimulatedSystem>;
  diskFull: boolean;
}

/** The process that a fault strikes. */
interface Victim {
  end(): void;
  boot(): Promise<void>;
  /** Told to stop, as it runs now. */
  stop(): void;
  /** Its connections, and those of whoever else is connected to the same systems. */
  readonly lines: readonly Set<{ readonly line: Line; readonly system: string }>[];
}

/** A promise that fails and that nobody awaits would end the daemon. */
export function watchRejections(violations: Violation[]): Disposable {
  const note = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    violations.push(new Violation('unhandled', text));
  };
  process.on('unhandledRejection', note);
  return { [Symbol.dispose]: () => void process.off('unhandledRejection', note) };
}

/** A point that does not come is not waited for for ever. */
export function isDue(
  { figures, scheduler }: Pick<Course, 'figures' | 'scheduler'>,
  { step, point }: Fault,
): boolean {
  const late = figures.steps - step;
  return late >= 400 || (late >= 0 && (point === '' || scheduler.last().endsWith(point)));
}

/** Transactions in all logs. */
export const logged = (systems: ReadonlyMap<string, SimulatedSystem>): number =>
  [...systems.values()].reduce((sum, { log }) => sum + log.length, 0);

/** One thing that is pending happens, or time passes to the next that will. */
export async function moveOn(
  scheduler: Scheduler,
  random: Random,
  isRunning: () => boolean,
): Promise<void> {
  if ((random.chance(0.03) && scheduler.tick()) || scheduler.step() || scheduler.tick()) return;
  // What a fault just ended may still be on its way to its next call, or to its end.
  await settled();
  if (isRunning() && !scheduler.step() && !scheduler.tick()) {
    throw new Violation('stuck', 'nothing will ever happen again');
  }
}

export async function suffer(
  world: Course,
  { kind, system, size }: Fault,
  victim: Victim,
): Promise<void> {
  const { scheduler, figures } = world;
  switch (kind) {
    case 'crash':
      figures.crashes += 1;
      victim.end();
      await settled();
      scheduler.advance(1 + size * 3000);
      return victim.boot();
    case 'stop':
      victim.stop();
      return;
    case 'power':
    case 'tear':
      if (kind === 'power') cutPower(world, system);
      figures.tears += 1;
      for (const lines of victim.lines) {
        for (const entry of [...lines]) {
          if (entry.system !== system) continue;
          lines.delete(entry);
          scheduler.cut(entry.line, unreachable('target'));
        }
      }
      return;
    case 'down':
      world.downUntil.set(system, scheduler.now() + size * 60_000);
      return;
    case 'disk':
      world.diskFull = true;
      return;
    case 'jump':
      world.jumps.set(system, (world.jumps.get(system) ?? 0) + (size - 0.5) * 7_200_000);
  }
}

function cutPower(world: Course, system: string): void {
  const lost = world.systems.get(system)?.fail() ?? 0;
  count(world, lost > 0 ? 'power cut, commits lost' : 'power cut');
}
