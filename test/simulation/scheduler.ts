import type { Clock } from '../../src/capture/pace.ts';
import type { Random } from './random.ts';

/** Thrown by an effect that has to wait for someone else: it is tried again when things changed. */
export class Blocked extends Error {}

/** One client's connection. */
export interface Line {
  readonly name: string;
  open: boolean;
  /** What later calls reject with once it is cut; null: the client is dead, they never end. */
  broken: Error | null;
  /** Rejects what waits for an answer. */
  readonly waiting: Set<(error: Error) => void>;
  /** What the other side does when it notices that the client is gone. */
  readonly onHangup: (() => void)[];
}

export const openLine = (name: string): Line => ({
  name,
  open: true,
  broken: null,
  waiting: new Set(),
  onHangup: [],
});

interface Pending {
  readonly label: string;
  readonly line: Line | null;
  readonly kind: 'request' | 'reply' | 'event';
  run(): void;
  /** The number of changes after which it was last found blocked; -1: never. */
  blockedAt: number;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * Owns time and every await: a call does its work when it is picked, and its answer arrives when
 * that is picked. Nothing else in a run waits for anything, so a seed replays exactly.
 */
export interface Scheduler {
  /** Simulated milliseconds since 1970. */
  now(): number;
  /** Two picks: the effect, and its answer. */
  call<T>(line: Line, label: string, effect: () => T): Promise<T>;
  /** One pick, no effect elsewhere. */
  pause(line: Line, label: string): Promise<void>;
  /** Something that will happen by itself. */
  event(label: string, run: () => void): void;
  timer(ms: number, run: () => void): () => void;
  /** Whatever was found blocked may be tried again. */
  changed(): void;
  /** The client loses the connection: `error` is what its calls reject with; null: it is dead. */
  cut(line: Line, error: Error | null): void;
  /** Runs one pending thing; false when only timers are left. */
  step(): boolean;
  /** Jumps to the next timer; false when there is none. */
  tick(): boolean;
  /** Lets time pass by itself. */
  advance(ms: number): void;
  /** What happened last. */
  last(): string;
  readonly trace: string[];
}

export const START = Date.UTC(2026, 0, 5);
const WEIGHTS = [1, 1, 1, 0.3, 0.1, 0.02];

export function openScheduler(random: Random, traced: boolean): Scheduler {
  const trace: string[] = [];
  let now = START;
  let last = '';
  const queue = openQueue(random);
  const timers = openTimers();
  const note = (text: string): void => {
    if (traced) trace.push(`${(now - START).toFixed(1)} ${text}`);
  };
  return {
    trace,
    now: () => now,
    last: () => last,
    call: (line, label, effect) => callOver(queue, line, label, effect),
    pause: (line, label) =>
      new Promise((resolve) => {
        if (line.open) queue.push({ label, line, kind: 'reply', run: resolve });
      }),
    event: (label, run) => queue.push({ label, line: null, kind: 'event', run }),
    timer: (ms, run) => timers.add(now + ms, run),
    changed: queue.changed,
    cut(line, error) {
      if (!line.open) return;
      note(`cut ${line.name}`);
      cutLine(queue, line, error);
    },
    step() {
      const item = queue.take();
      if (item === null) return false;
      last = item.label;
      note(last);
      try {
        item.run();
      } catch (error) {
        if (!(error instanceof Blocked)) throw error;
        // A dead client's request that cannot go on is lost with its connection.
        if (item.line?.open) queue.wait(item);
      }
      return true;
    },
    tick() {
      const next = timers.take();
      if (next === null) return false;
      now = Math.max(now, next.at);
      note('timer');
      next.run();
      return true;
    },
    advance(ms) {
      now += ms;
    },
  };
}

interface Queue {
  push(item: Omit<Pending, 'blockedAt'>): void;
  /** Back in line, until something changes. */
  wait(item: Pending): void;
  /** One of those that can go on, by weight; null: none. */
  take(): Pending | null;
  /** Forgets what a line has pending, some of its requests excepted. */
  drop(line: Line): void;
  changed(): void;
}

function openQueue(random: Random): Queue {
  const pending: Pending[] = [];
  const weights = new Map<string, number>();
  let changes = 0;
  /** Per seed some calls are slow throughout: interleavings that a fair choice never reaches. */
  const weight = ({ label, blockedAt }: Pending): number => {
    if (blockedAt === changes) return 0;
    const known = weights.get(label) ?? random.pick(WEIGHTS);
    weights.set(label, known);
    return known;
  };
  return {
    push: (item) => void pending.push({ ...item, blockedAt: -1 }),
    wait: (item) => void pending.push({ ...item, blockedAt: changes }),
    changed: () => void changes++,
    take() {
      const shares = pending.map(weight);
      let left = random.next() * shares.reduce((sum, share) => sum + share, 0);
      let at = -1;
      for (const [i, share] of shares.entries()) {
        if (share === 0) continue;
        at = i;
        left -= share;
        if (left < 0) break;
      }
      return pending.splice(at, at < 0 ? 0 : 1)[0] ?? null;
    },
    drop(line) {
      const kept = pending.filter(
        (item) =>
          item.line !== line ||
          (item.kind === 'request' && item.blockedAt < 0 && random.chance(0.5)),
      );
      pending.splice(0, pending.length, ...kept);
    },
  };
}

function openTimers() {
  const timers = new Set<Timer>();
  let order = 0;
  return {
    add(at: number, run: () => void): () => void {
      const timer: Timer = { at, order: order++, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    take(): Timer | null {
      let first: Timer | null = null;
      for (const timer of timers) {
        const sooner = first === null || timer.at < first.at;
        if (sooner || (timer.at === first?.at && timer.order < first.order)) first = timer;
      }
      if (first !== null) timers.delete(first);
      return first;
    },
  };
}

function callOver<T>(queue: Queue, line: Line, label: string, effect: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    if (!line.open) {
      if (line.broken !== null) reject(line.broken);
      return;
    }
    line.waiting.add(reject);
    const answer = (settle: () => void): void => {
      if (!line.open) return;
      const run = (): void => {
        line.waiting.delete(reject);
        settle();
      };
      queue.push({ label: `${label} answer`, line, kind: 'reply', run });
    };
    const run = (): void => {
      try {
        const result = effect();
        answer(() => resolve(result));
      } catch (error) {
        if (error instanceof Blocked) throw error;
        answer(() => reject(error));
      }
    };
    queue.push({ label, line, kind: 'request', run });
  });
}

/** What is in flight may still arrive, after the client has given it up. */
function cutLine(queue: Queue, line: Line, error: Error | null): void {
  line.open = false;
  line.broken = error;
  queue.drop(line);
  const rejects = [...line.waiting];
  line.waiting.clear();
  for (const run of line.onHangup) {
    queue.push({ label: `hangup ${line.name}`, line: null, kind: 'event', run });
  }
  if (error !== null) for (const reject of rejects) reject(error);
}

/**
 * Puts the pipeline's own clock, timers and chance under the scheduler until disposed. A timer that
 * is due when its process is dead wakes nobody.
 */
export function takeOver(scheduler: Scheduler, random: Random, process: () => Line): Disposable {
  const { setTimeout, clearTimeout } = globalThis;
  const [dateNow, mathRandom] = [Date.now, Math.random];
  const perfNow = performance.now;
  const cancels = new Map<number, () => void>();
  let handle = 0;
  const set = (run: () => void, ms = 0): number => {
    handle += 1;
    cancels.set(handle, wake(scheduler, process(), ms, run));
    return handle;
  };
  Object.assign(globalThis, { setTimeout: set, clearTimeout: (id: number) => cancels.get(id)?.() });
  Date.now = () => Math.floor(scheduler.now());
  Math.random = () => random.next();
  performance.now = () => scheduler.now();
  return {
    [Symbol.dispose]() {
      Object.assign(globalThis, { setTimeout, clearTimeout });
      Date.now = dateNow;
      Math.random = mathRandom;
      performance.now = perfNow;
    },
  };
}

/** A timer of the process that holds the line. */
const wake = (scheduler: Scheduler, line: Line, ms: number, run: () => void): (() => void) =>
  scheduler.timer(ms, () => line.open && run());

/** The clock of a process that reads tables. */
export const clockOf = (scheduler: Scheduler, line: Line): Clock => ({
  now: () => scheduler.now() / 1000,
  sleep: (seconds) => new Promise((resolve) => void wake(scheduler, line, seconds * 1000, resolve)),
});

/** Lets everything run that waits for nothing simulated. */
export const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
