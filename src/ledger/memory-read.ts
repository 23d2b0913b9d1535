import type {
  Ledger,
  LedgerCounts,
  LedgerDesk,
  LedgerHead,
  LedgerQuery,
  LinkKey,
  OutboxEntry,
  ParkedRow,
} from '../contract/ledger.ts';
import type { RecordState } from '../model/record.ts';
import { type Disk, identityText, linkText } from './memory-disk.ts';
import { bySystem } from './parked-counts.ts';

type InTurn = <T>(work: () => T) => Promise<T>;

export const headOf = ({ sources, batches, next, paused }: Disk): LedgerHead => ({
  positions: Object.fromEntries(sources),
  batches: Object.fromEntries(batches),
  ...next,
  paused: [...paused.values()],
});

/** The questions of a ledger, answered by going through everything. */
export function memoryReader(
  disk: Disk,
  inTurn: InTurn,
): Pick<Ledger, 'find' | 'ready' | 'sent' | 'desk'> {
  return {
    find: (query) => inTurn(() => find(disk, query)),
    ready: (system, afterSeq, limit, except = []) =>
      inTurn(() =>
        entries(disk, system, ({ entry, waits }) => {
          const open = disk.sources.get(entry.origin)?.openTransaction;
          const free = entry.batch === null && waits === null && open !== entry.transaction;
          return free && entry.seq > afterSeq && !except.includes(entry.entity);
        }).slice(0, limit),
      ),
    sent: (system, batch, afterSeq, limit) =>
      inTurn(() =>
        entries(disk, system, ({ entry }) => {
          const isSent = batch === null ? entry.batch !== null : entry.batch === batch;
          return isSent && entry.seq > afterSeq;
        }).slice(0, limit),
      ),
    desk: desk(disk, inTurn),
  };
}

type Held = Disk['outbox'] extends Map<number, infer H> ? H : never;

function entries(disk: Disk, system: string, wanted: (held: Held) => boolean): OutboxEntry[] {
  return [...disk.outbox.values()]
    .filter((held) => held.entry.system === system && wanted(held))
    .map(({ entry }) => entry)
    .sort((a, b) => a.seq - b.seq);
}

function find(disk: Disk, query: LedgerQuery) {
  const record = (id: number | undefined) => (id && disk.records.get(id)) || null;
  return {
    links: (query.links ?? []).map((link) => record(disk.links.get(linkText(link)))),
    identities: (query.identities ?? []).map((key) =>
      [...(disk.identities.get(identityText(key)) ?? [])]
        .sort((a, b) => a - b)
        .map(record)
        .filter((state) => state !== null),
    ),
    records: (query.records ?? []).map(record),
    parkedRows: (query.parkedRows ?? []).map((row) => {
      const isRow = (item: { kind: string }): item is ParkedRow => item.kind === 'row';
      const rows = newest([...disk.parked.values()].filter(isRow));
      return rows.find((item) => linkText(item) === linkText(row)) ?? null;
    }),
  };
}

function newest<T extends { readonly id: number }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => b.id - a.id);
}

interface Page {
  readonly entity?: string;
  readonly before?: number;
  readonly limit: number;
}

function page<T extends { readonly id: number; readonly entity: string }>(
  items: Iterable<T>,
  { entity, before = Number.POSITIVE_INFINITY, limit }: Page,
  wanted: (item: T) => boolean,
): T[] {
  return newest(items)
    .filter((item) => item.id < before && (entity === undefined || item.entity === entity))
    .filter(wanted)
    .slice(0, limit);
}

function desk(disk: Disk, inTurn: InTurn): LedgerDesk {
  const { journal, parked } = disk;
  return {
    conflicts: ({ state, ...filter }) =>
      inTurn(() =>
        page(journal.values(), filter, (entry) => state === undefined || entry.state === state),
      ),
    conflict: (id) => inTurn(() => journal.get(id) ?? null),
    history: (entity, record, limit) =>
      inTurn(() => page(journal.values(), { entity, limit }, (entry) => entry.record === record)),
    parked: ({ reason, ...filter }) =>
      inTurn(() =>
        page(parked.values(), filter, (item) => reason === undefined || item.reason === reason),
      ),
    parkedOne: (id) => inTurn(() => parked.get(id) ?? null),
    waitingFor: (link) => inTurn(() => waitingFor(disk, link)),
    outbox: (seqs) => inTurn(() => seqs.flatMap((seq) => disk.outbox.get(seq)?.entry ?? [])),
    linked: (system, entity, afterKey, limit) =>
      inTurn(() => linked(disk, system, entity, afterKey).slice(0, limit)),
    oldestClosed: (limit) =>
      inTurn(() =>
        newest([...journal.values()].filter(({ state }) => state !== 'open'))
          .reverse()
          .slice(0, limit),
      ),
    usedBytes: () => inTurn(() => 0),
    counts: () => inTurn(() => counts(disk)),
  };
}

function waitingFor(disk: Disk, { system, entity, key }: LinkKey): ParkedRow[] {
  const waits = (item: { kind: string }): item is ParkedRow => {
    if (item.kind !== 'row') return false;
    const row = item as ParkedRow;
    return row.system === system && row.waits?.entity === entity && row.waits.key === key;
  };
  return newest([...disk.parked.values()].filter(waits));
}

/** Key order is the order of the UTF-8 bytes. */
function linked(
  disk: Disk,
  system: string,
  entity: string,
  afterKey: string | null,
): RecordState[] {
  const keys: [Buffer, RecordState][] = [];
  for (const [text, id] of disk.links) {
    const [inSystem, ofEntity, key] = JSON.parse(text) as [string, string, string];
    const state = disk.records.get(id);
    if (inSystem === system && ofEntity === entity && state) keys.push([Buffer.from(key), state]);
  }
  const after = afterKey === null ? null : Buffer.from(afterKey);
  return keys
    .filter(([key]) => after === null || Buffer.compare(key, after) > 0)
    .sort(([a], [b]) => Buffer.compare(a, b))
    .map(([, state]) => state);
}

function counts(disk: Disk): LedgerCounts {
  const tally = (names: Iterable<string>) => {
    const numbers: Record<string, number> = {};
    for (const name of names) numbers[name] = (numbers[name] ?? 0) + 1;
    return numbers;
  };
  const open = [...disk.journal.values()].filter((entry) => entry.state === 'open');
  const systems = new Set([...disk.outbox.values()].map((held) => held.entry.system));
  const outbox = [...systems].map((system) => {
    const queue = entries(disk, system, () => true);
    return [system, { depth: queue.length, oldest: queue[0]?.since ?? null }] as const;
  });
  return {
    records: tally([...disk.records.values()].map((state) => state.entity)),
    outbox: Object.fromEntries(outbox),
    openConflicts: tally(open.map((entry) => entry.entity)),
    parked: bySystem(
      tally([...disk.parked.values()].map(({ system, reason }) => `${system} ${reason}`)),
    ),
  };
}
