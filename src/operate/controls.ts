import type { Controls, Support } from '../contract/controls.ts';
import type { Pause } from '../contract/ledger.ts';
import type { Decisions } from '../decide/decisions.ts';
import { changePauses, isPaused } from '../decide/pauses.ts';
import { CarrickError, retry } from '../errors.ts';
import type { Log } from '../observe/log.ts';

export interface ControlParts {
  readonly systems: readonly string[];
  /** Those of feeds too. */
  readonly entities: readonly string[];
  readonly support: () => Promise<Support>;
  /** The running daemon's; null without one. */
  readonly log: Log | null;
}

export function createControls(decisions: Decisions, parts: ControlParts): Controls {
  const { ledger } = decisions;
  return {
    async pause(name) {
      const since = Date.now() * 1000;
      const named = meant(name, parts);
      const add = named
        .filter((one) => !isPaused(ledger, one.kind, one.name))
        .map((one) => ({ ...one, since }));
      for (const one of add) parts.log?.event('pause.begun', one);
      return changePauses(decisions, { add, remove: [] });
    },
    async resume(name) {
      const { paused } = ledger.head();
      const remove = paused.filter((pause) => name === null || pause.name === name);
      if (remove.length === 0 && name !== null) throw unknown(`${name} is not paused`);
      for (const one of remove) parts.log?.event('pause.ended', one);
      return changePauses(decisions, { add: [], remove });
    },
    async logLevel(level) {
      if (parts.log === null) throw noDaemon();
      if (level !== null) parts.log.level = level;
      return parts.log.level;
    },
    support: parts.support,
  };
}

/** A name may be that of a system and of an entity: then both are meant. */
function meant(name: string | null, { systems, entities }: ControlParts): Omit<Pause, 'since'>[] {
  const wanted = (names: readonly string[]) => names.filter((one) => one === name);
  const found = [
    ...(name === null ? systems : wanted(systems)).map((one) => of('system', one)),
    ...wanted(entities).map((one) => of('entity', one)),
  ];
  if (found.length > 0) return found;
  const [, to] = name?.split('>') ?? [];
  if (to !== undefined && systems.includes(to)) throw isFeed(`${name}`, to);
  throw unknown(`no system and no entity is called ${name}`);
}

const of = (kind: Pause['kind'], name: string): Omit<Pause, 'since'> => ({ kind, name });

const isFeed = (name: string, to: string): CarrickError =>
  new CarrickError(
    'operator.fed',
    'park',
    `${name} is a feed, and pauses are of systems and entities`,
    `pause ${to}, or one of the entities that ${name} writes, which stops all of it`,
  );

const unknown = (message: string): CarrickError =>
  new CarrickError('operator.unknown', 'park', message, 'see `carrick status`');

const noDaemon = (): CarrickError =>
  retry('operator.unreachable', 'no daemon is running', 'start it with `carrick run`');
