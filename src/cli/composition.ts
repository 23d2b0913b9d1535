import type { Finding } from '../contract/connector.ts';
import type { Daemon } from '../contract/controls.ts';
import type { Entity } from '../contract/entity.ts';
import type { EntityPlan } from '../contract/first-contact.ts';
import type { Listen } from '../observe/access.ts';

/** What the commands need of `compose.ts`; given by `main.ts`, so that help loads nothing. */
export interface Compose {
  /**
   * Reads the configuration and its mappings. Offline, no server is asked for its columns. Mistakes
   * are thrown all at once, as an error whose `text` is ready for the terminal.
   */
  load(path: string, env: NodeJS.ProcessEnv, how: { offline: boolean }): Promise<Composition>;
  /** JSON Schema of `carrick.yaml`, or of a mapping file. */
  schema(of: 'config' | 'mapping'): Promise<object>;
}

export interface Composition {
  readonly config: { readonly listen: Listen };
  readonly entities: ReadonlyMap<string, Entity>;
  /**
   * The daemon: resolves when `stop` was aborted and everything is drained and closed. It reads its
   * configuration anew when `onHangup` calls back, and when the files change.
   */
  run(stop: AbortSignal, onHangup: (act: () => void) => void): Promise<void>;
  /** Makes every system ready; the lines say what was done, none when nothing was missing. */
  setup(): Promise<string[]>;
  /** The same as SQL, with the least grants, for a DBA. */
  setupScript(): Promise<string>;
  /** By system. */
  preflight(): Promise<Readonly<Record<string, readonly Finding[]>>>;
  /**
   * Goes on with a system whose log is lost, or with a feed of which that is so (`crm>erp`): from
   * its present end, its tables read again. No daemon may run: `ledger.owned` (halt).
   */
  rejoin(name: string): Promise<{ position: string; tables: readonly string[] }>;
  /** What a first load would decide and write; reads both systems and changes nothing. */
  plan(request: PlanRequest): Promise<readonly EntityPlan[]>;
  /** Talks to the running daemon, or opens the ledger when none runs. */
  operator(): Promise<Daemon & AsyncDisposable>;
  /** What the files say, without secrets. */
  files(): { readonly config: unknown; readonly mappings: Readonly<Record<string, string>> };
  /** Runs the cases files beside the mappings. */
  cases(): Promise<readonly CaseResult[]>;
}

export interface PlanRequest {
  /** Null: all. */
  readonly entity: string | null;
  /** How many examples of each kind. */
  readonly samples: number;
  readonly progress: (system: string, table: string, rows: number) => void;
  readonly stop: AbortSignal;
}

export interface CaseResult {
  readonly file: string;
  readonly name: string;
  /** What came out otherwise than the case says, one line each; empty: passed. */
  readonly faults: readonly string[];
}

/** What `Compose.load` throws for mistakes in the files; told by its shape, not its class. */
export function problemText(error: unknown): string | null {
  if (!(error instanceof Error) || !('text' in error)) return null;
  return typeof error.text === 'string' ? error.text : null;
}
