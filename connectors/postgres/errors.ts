import pg from 'pg';
import { transportTrouble } from '../../src/contract/transport.ts';
import { CarrickError, halt, retry } from '../../src/errors.ts';
import { WORDS } from './tls.ts';

type Side = 'source' | 'target';

interface Rule {
  /** SQLSTATEs or their beginnings (PostgreSQL manual, "PostgreSQL Error Codes"). */
  readonly states: readonly string[];
  readonly sides: readonly Side[];
  readonly code: string;
  readonly disposition: 'retry' | 'halt';
  readonly fix: string;
}

const LOST_FIX =
  'Changes may be missing: follow "source.lost" in deploy/RUNBOOK.md; it ends in `carrick rejoin`.';
const REACH_FIX = 'Nothing to do if it comes back; else check address, server and network.';

/** What becomes of an error that the server reports; the first rule that fits. */
const RULES: readonly Rule[] = [
  {
    states: ['55006'],
    sides: ['source'],
    code: 'busy',
    disposition: 'retry',
    fix: 'Another connection holds the slot. If it stays so, stop the other Carrick.',
  },
  {
    // Slot or publication missing, slot invalidated, WAL segment removed.
    states: ['42704', '55000', '58P01'],
    sides: ['source'],
    code: 'lost',
    disposition: 'halt',
    fix: LOST_FIX,
  },
  {
    states: ['40001', '40P01', '55P03', '57014', '25P03'],
    sides: ['target'],
    code: 'conflicted',
    disposition: 'retry',
    fix: 'Nothing to do: it is tried again. Often: look for long transactions of other writers.',
  },
  {
    states: ['28', '3D000'],
    sides: ['source', 'target'],
    code: 'refused',
    disposition: 'halt',
    fix: 'Check user, password and database of this system, and pg_hba.conf.',
  },
  {
    states: ['42501'],
    sides: ['source', 'target'],
    code: 'refused',
    disposition: 'halt',
    fix: 'The role lacks a right: run what `carrick setup --print` prints as a superuser.',
  },
  {
    // 55000 on the target: `on conflict` with a deferrable constraint.
    states: ['42', '3F000', '428C9', '55000'],
    sides: ['source', 'target'],
    code: 'refused',
    disposition: 'halt',
    fix: 'Tables and mapping do not fit together: run `carrick check`.',
  },
];

/** SQLSTATE classes that concern one row: data, constraints, views' checks, triggers, routines. */
const ROW_CLASSES: ReadonlySet<string> = new Set([
  '21',
  '22',
  '23',
  '27',
  '44',
  '09',
  'P0',
  '38',
  '39',
]);

/**
 * A failure as the pipeline wants it. The original never becomes the cause: the server's detail
 * and context hold row values.
 */
export function describeError(side: Side, error: unknown): CarrickError {
  if (error instanceof CarrickError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const state = sqlState(error);
  // What a server says of rows is never about its certificate.
  if (state === undefined || state.startsWith('28')) {
    const trouble = transportTrouble(error, WORDS);
    if (trouble !== null) return retry(`${side}.untrusted`, trouble.message, trouble.fix);
  }
  const rule = RULES.find(
    ({ states, sides }) =>
      sides.includes(side) && states.some((prefix) => state?.startsWith(prefix)),
  );
  if (rule !== undefined) {
    const make = rule.disposition === 'halt' ? halt : retry;
    return make(`${side}.${rule.code}`, `${withoutValues(text)} (SQLSTATE ${state})`, rule.fix);
  }
  if (/^SASL|password/i.test(text) && state === undefined) {
    return halt(`${side}.refused`, text, 'Give this system a password, or check it.');
  }
  const about = state === undefined ? text : `${withoutValues(text)} (SQLSTATE ${state})`;
  return retry(`${side}.unreachable`, about || 'connection failed', REACH_FIX);
}

export function lost(message: string): CarrickError {
  return halt('source.lost', message, LOST_FIX);
}

export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Whether the server refused a row, and not the connection, the statement or us. */
export function isRowRefusal(error: unknown): error is pg.DatabaseError {
  return ROW_CLASSES.has(sqlState(error)?.slice(0, 2) ?? '');
}

/** The reason of a refusal, without the row's values. */
export function refusalReason(error: pg.DatabaseError): string {
  const { code: state = '', where = '' } = error;
  // What a function raises may quote anything, under any SQLSTATE: say where, not what.
  if (where.startsWith('PL/') || !/^2[23]/.test(state)) {
    const place = /^PL\/\w+ function [^"\n]* line \d+ at \w+/m.exec(where);
    return place === null ? 'refused by a trigger or function' : `refused by ${place[0]}`;
  }
  // Constraint messages quote names only; the values are in the detail.
  return state.startsWith('23') ? error.message : withoutValues(error.message);
}

/** Messages quote values last, after a colon or between the first quote and the last. */
function withoutValues(message: string): string {
  return message.replace(/: ".*"/s, '').replace(/value ".*"/s, 'value');
}
