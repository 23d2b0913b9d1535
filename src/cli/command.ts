import type { Argv } from 'yargs';
import type { Daemon } from '../contract/controls.ts';
import type { ListFilter } from '../contract/operator.ts';
import type { Micros } from '../model/value.ts';
import type { Compose, Composition } from './composition.ts';
import type { Exit } from './exit.ts';
import type { Style } from './terminal.ts';

/** Options that every command takes. */
export const GLOBAL = {
  config: {
    type: 'string',
    default: 'carrick.yaml',
    requiresArg: true,
    describe: 'the configuration',
  },
  json: { type: 'boolean', default: false, describe: 'results and errors as JSON' },
} as const;

export interface Global {
  readonly config: string;
  readonly json: boolean;
}

/** What a command may use of the world. */
export interface Context {
  readonly compose: Compose;
  readonly env: NodeJS.ProcessEnv;
  /** Each writes its text and a line end, to stdout and stderr. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Stdout is one: text can be drawn over. */
  readonly terminal: boolean;
  readonly colours: boolean;
  readonly columns: number;
  readonly now: () => Micros;
  /** From now on signals stop the daemon instead of the process. */
  readonly stopOnSignal: () => AbortSignal;
  /** Calls `act` at each SIGHUP from now on. */
  readonly onHangup: (act: () => void) => void;
}

/** Makes a yargs handler of a command; errors are told to the user and become the exit code. */
export type Act = <A extends Global>(
  action: (args: A, context: Context) => Promise<Exit>,
) => (args: A) => Promise<void>;

/** Adds one command; each file beside this one exports one. */
export type Register = (cli: Argv<Global>, act: Act) => Argv<Global>;

export const styleOf = ({ colours, now }: Context): Style => ({ colours, now: now() });

/** The result as JSON, or as people read it. */
export function show(args: Global, context: Context, result: unknown, text: () => string): void {
  context.out(args.json ? JSON.stringify(result, null, 2) : text());
}

/** Commands that look at what is there must work while a server is down: they load offline. */
export const loadOffline = (args: Global, context: Context): Promise<Composition> =>
  context.compose.load(args.config, context.env, { offline: true });

export async function withOperator<T>(
  args: Global,
  context: Context,
  use: (daemon: Daemon, composition: Composition) => Promise<T>,
): Promise<T> {
  const composition = await loadOffline(args, context);
  await using daemon = await composition.operator();
  return await use(daemon, composition);
}

/** Numbers as yargs coerces them: an error here is a usage error. */
export function positive(given: number): number {
  if (Number.isSafeInteger(given) && given > 0) return given;
  throw new Error('numbers must be whole and greater than 0');
}

export const ID = { type: 'number', demandOption: true, coerce: positive } as const;

export const PAGE = {
  entity: { type: 'string', describe: 'only this entity' },
  before: { type: 'number', coerce: positive, describe: 'only entries older than this number' },
  limit: { type: 'number', coerce: positive, default: 50, describe: 'at most so many' },
} as const;

/** The filter of a list, without the keys that were not given. */
export function filterOf(args: {
  readonly entity: string | undefined;
  readonly before: number | undefined;
  readonly limit: number;
  readonly state: string | undefined;
}): ListFilter {
  const { entity, before, state } = args;
  return {
    ...(entity === undefined ? {} : { entity }),
    ...(before === undefined ? {} : { before }),
    ...(state === undefined ? {} : { state }),
    limit: Math.min(args.limit, 1_000),
  };
}

export const PERSONAL = {
  'show-personal': {
    type: 'boolean',
    default: false,
    describe: 'show values of fields marked `pii`',
  },
} as const;

/** Tells how to get the next page where there may be one. */
export function older(entries: readonly { id: number }[], limit: number): string {
  const last = entries.at(-1);
  return last !== undefined && entries.length >= limit ? `\nolder: --before ${last.id}` : '';
}
