import type {
  JournalEntry,
  LedgerCommit,
  OutboxEntry,
  ParkedRow,
  SourceState,
} from '../../src/contract/ledger.ts';
import type { Privacy } from '../../src/ledger/privacy.ts';
import type { Position } from '../../src/model/position.ts';
import type { RecordState, SystemView } from '../../src/model/record.ts';

/** Customers are personal, and so is the key of their rows in the CRM. */
export const PRIVACY: Privacy = {
  keys: [Buffer.alloc(32, 5)],
  guards: new Map([['customer', { match: [], keys: ['crm'] }]]),
};

export const stamp = (wall: number, system = 'crm') => ({ wall, counter: 0, system });

export const view = (key: string, values: SystemView['values']): SystemView => ({
  status: 'linked',
  key,
  values,
  raw: null,
  represents: null,
});

export const record = (id: number, changes: Partial<RecordState> = {}): RecordState => ({
  id,
  entity: 'customer',
  values: ['C-1', 'Ada', null],
  stamps: [stamp(10), stamp(10), null],
  deleted: null,
  views: { crm: view(`${id}`, ['C-1', 'Ada', undefined]) },
  outbox: {},
  held: null,
  flips: null,
  ...changes,
});

export const entry = (seq: number, changes: Partial<OutboxEntry> = {}): OutboxEntry => ({
  seq,
  system: 'erp',
  record: seq,
  entity: 'customer',
  since: 1_000 + seq,
  origin: 'crm',
  transaction: 't1',
  batch: null,
  sent: null,
  attempts: 0,
  ...changes,
});

type Outbox = NonNullable<LedgerCommit['outbox']>;

export const outbox = (changes: Partial<Outbox>): LedgerCommit => ({
  outbox: { add: [], send: [], remove: [], release: [], wait: [], ...changes },
});

export const source = (position: string, open: string | null = null): SourceState => ({
  position: position as Position,
  openTransaction: open,
  snapshots: {},
});

export const journal = (id: number, changes: Partial<JournalEntry> = {}): JournalEntry => ({
  id,
  at: 5_000 + id,
  entity: 'customer',
  record: 1,
  unit: 'name',
  kind: 'conflict',
  state: 'settled',
  policy: 'last_writer',
  winner: 'crm',
  incoming: { system: 'crm', values: ['a', null], stamp: stamp(2) },
  standing: { system: 'erp', values: null, stamp: null },
  outcome: ['a', null],
  ...changes,
});

export const parkedRow = (id: number, changes: Partial<ParkedRow> = {}): ParkedRow => ({
  id,
  kind: 'row',
  system: 'crm',
  entity: 'order',
  since: 7,
  reason: 'waiting',
  detail: 'waits for its customer',
  key: `o${id}`,
  cells: { id: `o${id}`, note: null },
  waits: { entity: 'customer', key: 'c1' },
  ...changes,
});

export const link = (key: string, system = 'crm') => ({ system, entity: 'customer', key });
export const identity = (value: string) => ({ entity: 'customer', alternative: 0, value });

export const seqs = (entries: readonly OutboxEntry[]) => entries.map(({ seq }) => seq);

export const ids = (items: readonly { readonly id: number }[]) => items.map(({ id }) => id);
