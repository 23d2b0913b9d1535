export type Level = 'debug' | 'info' | 'warn' | 'error';

/** With `?`: left out where it is not known. */
type FieldType = 'string' | 'number' | 'number?';

export interface Event {
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, FieldType>>;
}

const trouble = { code: 'string', message: 'string', fix: 'string' } as const;
const row = { system: 'string', entity: 'string' } as const;

/**
 * Everything that Carrick logs. Fields that are not declared here are not written, whatever the
 * caller passes: no secret and no row value can get into the log by accident. Row keys are the
 * most that a line names. Durations are seconds.
 */
export const EVENTS = {
  'daemon.started': {
    level: 'info',
    message: 'started',
    fields: { instance: 'string', version: 'string', listen: 'string' },
  },
  'daemon.stopping': {
    level: 'info',
    message: 'stopping: what is on its way is finished first',
    fields: { signal: 'string' },
  },
  'daemon.stopped': { level: 'info', message: 'stopped', fields: { seconds: 'number' } },
  'daemon.failed': { level: 'error', message: 'stopped by an error', fields: trouble },
  'reload.applied': {
    level: 'info',
    message: 'configuration read anew: goes on with it from where it was',
    fields: { cause: 'string', entities: 'number' },
  },
  'reload.refused': {
    level: 'error',
    message: 'configuration refused as a whole: the old one goes on',
    fields: { cause: 'string', ...trouble },
  },
  'pause.begun': {
    level: 'info',
    message: 'paused by a person: what is decided waits in the outbox',
    fields: { kind: 'string', name: 'string' },
  },
  'pause.ended': {
    level: 'info',
    message: 'resumed by a person',
    fields: { kind: 'string', name: 'string' },
  },
  'journal.removed': {
    level: 'info',
    message: 'settled conflicts removed from the journal, as the configuration wants',
    fields: { cause: 'string', entries: 'number' },
  },
  'journal.failed': {
    level: 'warn',
    message: 'old journal entries could not be removed: tried again in a minute',
    fields: trouble,
  },
  'check.problem': {
    level: 'error',
    message: 'preflight found a problem',
    fields: { system: 'string', check: 'string', message: 'string', fix: 'string' },
  },
  'check.unknown': {
    level: 'warn',
    message: 'preflight could not check',
    fields: { system: 'string', check: 'string', message: 'string', fix: 'string' },
  },
  'source.following': {
    level: 'info',
    message: 'following the log',
    fields: { system: 'string', position: 'string' },
  },
  'source.retrying': {
    level: 'warn',
    message: 'source failed, trying again',
    fields: { system: 'string', ...trouble, attempt: 'number', delaySeconds: 'number' },
  },
  'source.halted': {
    level: 'error',
    message: 'source halted: needs an operator',
    fields: { system: 'string', ...trouble },
  },
  'source.batch': {
    level: 'debug',
    message: 'batch read',
    fields: { system: 'string', transactions: 'number', changes: 'number', seconds: 'number' },
  },
  'source.drift': {
    level: 'warn',
    message: 'table no longer fits its mapping',
    fields: { ...row, table: 'string', detail: 'string' },
  },
  'target.idle': { level: 'debug', message: 'everything delivered', fields: { system: 'string' } },
  'target.retrying': {
    level: 'warn',
    message: 'target failed, trying again',
    fields: { system: 'string', ...trouble, attempt: 'number', delaySeconds: 'number' },
  },
  'target.recovered': {
    level: 'info',
    message: 'target takes writes again',
    fields: { system: 'string', waiting: 'number' },
  },
  'target.halted': {
    level: 'error',
    message: 'target halted: needs an operator',
    fields: { system: 'string', ...trouble },
  },
  'target.batch': {
    level: 'debug',
    message: 'batch delivered',
    fields: { system: 'string', batch: 'number', rows: 'number', seconds: 'number' },
  },
  'feed.written': {
    level: 'debug',
    message: 'a feed has written what its source told',
    fields: { system: 'string', rows: 'number', seconds: 'number' },
  },
  'target.diverged': {
    level: 'debug',
    message: 'rows hold what has not been read yet: decided again when it has',
    fields: { system: 'string', batch: 'number', rows: 'number' },
  },
  'conflict.settled': {
    level: 'debug',
    message: 'conflict settled',
    fields: { id: 'number', entity: 'string', unit: 'string', policy: 'string', winner: 'string' },
  },
  'conflict.open': {
    level: 'warn',
    message: 'conflict waits for a person',
    fields: { id: 'number', entity: 'string', record: 'number', unit: 'string' },
  },
  'conflict.resolved': {
    level: 'info',
    message: 'conflict resolved by a person',
    fields: { id: 'number', entity: 'string', record: 'number', unit: 'string' },
  },
  'parked.row': {
    level: 'warn',
    message: 'row parked',
    fields: { id: 'number', ...row, key: 'string', reason: 'string', detail: 'string' },
  },
  'parked.delivery': {
    level: 'warn',
    message: 'delivery parked',
    fields: { id: 'number', ...row, record: 'number', reason: 'string', detail: 'string' },
  },
  'parked.hold': {
    level: 'error',
    message: 'held until a person releases it',
    fields: { id: 'number', ...row, records: 'number', reason: 'string', detail: 'string' },
  },
  'parked.released': {
    level: 'info',
    message: 'parked item tried again',
    fields: { id: 'number', outcome: 'string' },
  },
  'parked.discarded': { level: 'info', message: 'parked item given up', fields: { id: 'number' } },
  'snapshot.started': {
    level: 'info',
    message: 'snapshot started',
    fields: { system: 'string', table: 'string' },
  },
  'snapshot.progress': {
    level: 'info',
    message: 'snapshot goes on',
    fields: {
      system: 'string',
      table: 'string',
      rows: 'number',
      estimatedRows: 'number?',
      rowsPerSecond: 'number?',
      secondsLeft: 'number?',
    },
  },
  'snapshot.done': {
    level: 'info',
    message: 'snapshot complete',
    fields: { system: 'string', table: 'string', rows: 'number' },
  },
  'verify.done': {
    level: 'info',
    message: 'the systems were compared',
    fields: { rows: 'number', differences: 'number', seconds: 'number' },
  },
  'verify.differs': {
    level: 'warn',
    message: 'the systems differ: something went past the logs',
    fields: { entity: 'string', differences: 'number' },
  },
  'verify.failed': {
    level: 'warn',
    message: 'the systems could not be compared, trying again',
    fields: trouble,
  },
  'echo.differs': {
    level: 'debug',
    message: 'the target stored or added something other than what was sent',
    fields: { ...row, record: 'number', batch: 'number' },
  },
  'ledger.slow': {
    level: 'warn',
    message: 'ledger commit was slow: the disk may be busy',
    fields: { seconds: 'number', changes: 'number' },
  },
  'personal.shown': {
    level: 'info',
    message: 'personal values were asked for and shown',
    fields: { method: 'string' },
  },
  'record.forgotten': {
    level: 'info',
    message: 'record forgotten',
    fields: {
      entity: 'string',
      record: 'number',
      rows: 'number',
      journal: 'number',
      parked: 'number',
    },
  },
  'http.listening': {
    level: 'info',
    message: 'listening for /metrics /healthz /readyz /api',
    fields: { address: 'string' },
  },
  'http.failed': {
    level: 'error',
    message: 'request failed',
    fields: { path: 'string', ...trouble },
  },
} as const satisfies Record<string, Event>;

export type Events = typeof EVENTS;
/** The field types of an event, from its declaration. */
export type FieldsOf<N extends keyof Events> = {
  readonly [F in keyof Events[N]['fields']]: Events[N]['fields'][F] extends 'number'
    ? number
    : Events[N]['fields'][F] extends 'number?'
      ? number | undefined
      : string;
};
