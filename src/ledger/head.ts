import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { LedgerCommit, LedgerHead, Pause, SourceState } from '../contract/ledger.ts';
import type { Position } from '../model/position.ts';
import type { Names } from './names.ts';
import type { Tallies } from './tallies.ts';
import type { Vault } from './vault.ts';

/** The head, read once and kept: every batch asks for it several times. */
export interface Head {
  /** As the open transaction has it. */
  get(): LedgerHead;
  put(commit: LedgerCommit): void;
  /** What is kept may not be so any more. */
  forget(): void;
}

interface Known {
  positions: Record<string, SourceState>;
  batches: Record<string, number>;
}

export function openHead(
  db: DatabaseSync,
  { names, tallies, vault }: { names: Names; tallies: Tallies; vault: Vault },
): Head {
  const sources = db.prepare(
    `SELECT sources.system, position, open, progress FROM sources
     JOIN snapshots ON snapshots.system = sources.system`,
  );
  const batches = db.prepare('SELECT system, batch FROM batches');
  const putSource = db.prepare(
    'INSERT OR REPLACE INTO sources (system, position, open) VALUES (?, ?, ?)',
  );
  const putSnapshots = db.prepare(
    'INSERT OR REPLACE INTO snapshots (system, progress) VALUES (?, ?)',
  );
  const putBatch = db.prepare('INSERT OR REPLACE INTO batches (system, batch) VALUES (?, ?)');
  let known: Known | null = null;
  let head: LedgerHead | null = null;
  const stateOf = (system: string, row: Record<string, SQLOutputValue>): SourceState => ({
    position: String(row.position) as Position,
    openTransaction: row.open as string | null,
    snapshots: JSON.parse(vault.open('progress', system, '', String(row.progress))),
  });
  const read = (): Known => ({
    positions: Object.fromEntries(
      sources.all().map((row) => {
        const system = names.name(Number(row.system));
        return [system, stateOf(system, row)];
      }),
    ),
    batches: Object.fromEntries(
      batches.all().map(({ system, batch }) => [names.name(Number(system)), Number(batch)]),
    ),
  });
  const saveSource = (now: Known, { system, state }: NonNullable<LedgerCommit['source']>): void => {
    putSource.run(names.code(system), state.position, state.openTransaction);
    // Most batches move the position alone, and there may be many tables.
    if (now.positions[system]?.snapshots !== state.snapshots) {
      const progress = vault.seal('progress', system, '', JSON.stringify(state.snapshots));
      putSnapshots.run(names.code(system), progress);
    }
    now.positions = { ...now.positions, [system]: state };
  };
  return {
    get() {
      known ??= read();
      head ??= {
        ...known,
        nextRecord: tallies.get('next', 'record') || 1,
        nextSeq: tallies.get('next', 'seq') || 1,
        nextCase: tallies.get('next', 'case') || 1,
        paused: Object.entries(tallies.all('paused')).map(([text, since]) => {
          const [kind, name] = text.split(' ') as [Pause['kind'], string];
          return { kind, name, since };
        }),
      };
      return head;
    },
    put({ source, batches: handedOut = [], outbox }) {
      known ??= read();
      head = null;
      if (source !== undefined) saveSource(known, source);
      const highest = { ...known.batches };
      const handOut = (system: string, batch: number | null): void => {
        if (batch !== null) highest[system] = Math.max(batch, highest[system] ?? 0);
      };
      for (const { system, batch } of handedOut) handOut(system, batch);
      for (const { system, batch } of outbox?.send ?? []) handOut(system, batch);
      for (const [system, batch] of Object.entries(highest)) {
        if (known.batches[system] !== batch) putBatch.run(names.code(system), batch);
      }
      known.batches = highest;
    },
    forget() {
      known = null;
      head = null;
    },
  };
}
