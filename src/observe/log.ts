import { type DestinationStream, destination, pino, stdTimeFunctions } from 'pino';
import { EVENTS, type Event, type Events, type FieldsOf, type Level } from './events.ts';
import { prettyLines } from './pretty.ts';

export interface Log {
  event<N extends keyof Events>(name: N, fields: FieldsOf<N>): void;
  /** May be changed at any time. */
  level: Level;
  /** The last lines, the oldest first. */
  recent(): readonly Readonly<Record<string, unknown>>[];
}

/** Enough for what led to a fault. */
const KEPT_LINES = 1_000;

/**
 * JSON lines on stderr, readable lines when stderr is a terminal. Written at once: the last line
 * before a crash is the one that matters, and at info there are few.
 */
export function createLog(level: Level, to: DestinationStream = standardError()): Log {
  const logger = pino(
    {
      level,
      base: null,
      // Our own `message` field tells what went wrong; the event's message says what happened.
      messageKey: 'msg',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
  const kept: Record<string, unknown>[] = [];
  return {
    event(name, fields) {
      const event: Event = EVENTS[name];
      if (!logger.isLevelEnabled(event.level)) return;
      const line: Record<string, unknown> = { event: name };
      const given: Readonly<Record<string, unknown>> = fields;
      for (const field of Object.keys(event.fields)) line[field] = given[field];
      kept.push({ time: new Date().toISOString(), level: event.level, ...line });
      if (kept.length > KEPT_LINES) kept.splice(0, kept.length / 2);
      logger[event.level](line, event.message);
    },
    recent: () => kept,
    get level() {
      return logger.level as Level;
    },
    set level(next) {
      logger.level = next;
    },
  };
}

function standardError(): DestinationStream {
  return process.stderr.isTTY === true
    ? prettyLines((text) => process.stderr.write(text), !process.env.NO_COLOR)
    : destination({ dest: 2, sync: true });
}
