/** Whether a server has everything that follows a position: also one that was promoted. */
import type { Client } from 'pg';
import { lost } from './errors.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import type { LogPosition } from './position.ts';

export interface SlotState {
  /** The cluster's system identifier, which a standby shares. */
  readonly cluster: string;
  /** The one that the server writes. */
  readonly timeline: number;
  readonly confirmed: bigint;
}

/** Asks on a replication connection, the only kind that `IDENTIFY_SYSTEM` is for. */
export async function readSlot(client: Client, slot: string): Promise<SlotState> {
  const system = await client.query<{ systemid: string; timeline: string }>('IDENTIFY_SYSTEM');
  const slots = await client.query<{ wal_status: string | null; confirmed: string | null }>(
    `select wal_status, confirmed_flush_lsn as confirmed from pg_catalog.pg_replication_slots
     where slot_name = '${slot}' and plugin = 'pgoutput'
       and database = pg_catalog.current_database()`,
  );
  const [state] = slots.rows;
  if (state === undefined) throw lost(`there is no replication slot ${slot} for this database`);
  if (state.wal_status === 'lost' || state.confirmed === null) {
    throw lost(`the server has invalidated the replication slot ${slot}`);
  }
  const { systemid, timeline } = system.rows[0]!;
  return { cluster: systemid, timeline: Number(timeline), confirmed: parseLsn(state.confirmed) };
}

/**
 * The timeline on which the server continues at `from`; throws where changes would be missing.
 * A promoted standby has the same history only up to where its timeline left the former one: what
 * was read of that beyond this place never happened there, and what happened there instead lies at
 * LSNs that the position has passed.
 */
export async function continuedOn(
  client: Client,
  slot: SlotState,
  from: LogPosition,
): Promise<number> {
  const { cluster, timeline, confirmed } = slot;
  if (cluster !== from.cluster) {
    throw lost(`the server is cluster ${cluster}, the position is of ${from.cluster}`);
  }
  if (confirmed > from.finished) {
    throw lost(
      `the slot has moved on to ${formatLsn(confirmed)}, past ${formatLsn(from.finished)}`,
    );
  }
  if (timeline === from.timeline) return timeline;
  const left = timeline < from.timeline ? undefined : await leftAt(client, timeline, from.timeline);
  if (left === undefined) {
    throw lost(`the server is on timeline ${timeline}, the position is of ${from.timeline}`);
  }
  const read = from.open === null ? from.finished : from.open.commit + 1n;
  if (read > left) {
    throw lost(
      `the server was promoted at ${formatLsn(left)}, and ${formatLsn(read)} was read of the one ` +
        'before it: changes that are known here never came to it, others may have their place',
    );
  }
  return timeline;
}

/** Where the history of timeline `current` left `timeline`; undefined: it never was on it. */
async function leftAt(
  client: Client,
  current: number,
  timeline: number,
): Promise<bigint | undefined> {
  const { rows } = await client.query<{ content: string }>(`TIMELINE_HISTORY ${current}`);
  const content = rows[0]!.content;
  const text = content.startsWith('\\x')
    ? Buffer.from(content.slice(2), 'hex').toString()
    : content;
  for (const line of text.split('\n')) {
    const [parent, place = ''] = line.trim().split(/\s+/);
    if (Number(parent) === timeline && /^[0-9A-F]+\/[0-9A-F]+$/i.test(place)) {
      return parseLsn(place);
    }
  }
  return undefined;
}
