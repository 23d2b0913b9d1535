import type { Mark, TableSpec } from '../../src/model/change.ts';
import type { Cell } from '../../src/model/value.ts';
import type { Assembler } from './assembler.ts';
import type { Types } from './catalog.ts';
import type { PostgresTable } from './describe.ts';
import { MARK } from './mark.ts';
import type { Monitor } from './monitor.ts';
import type { Plan, Relation, Sink } from './pgoutput.ts';
import { compilePlan } from './plan.ts';
import { tableName } from './session.ts';
import { type Codec, OTHER } from './types.ts';

/** The tables whose rows are wanted, by the names that the log gives them. */
export interface WantedTables {
  /** The mark's included. */
  find(relation: Relation): TableSpec | undefined;
  /** Types of wanted columns that have to be looked up before the relation's rows are read. */
  unknownTypes(relation: Relation): number[];
}

export function wantedTables(tables: readonly TableSpec[], types: Types): WantedTables {
  const specs = new Map<string, TableSpec>();
  for (const spec of [...tables, MARK]) {
    const { schema, table } = tableName(spec.name);
    specs.set(JSON.stringify([schema, table]), spec);
  }
  const find = (relation: Relation): TableSpec | undefined =>
    specs.get(JSON.stringify([relation.schema, relation.name]));
  return {
    find,
    unknownTypes(relation) {
      const spec = find(relation);
      return relation.columns
        .filter(({ name, typeOid }) => spec?.columns.includes(name) && !types.get(typeOid))
        .map(({ typeOid }) => typeOid);
    },
  };
}

export interface SinkOptions {
  readonly wanted: WantedTables;
  readonly types: Types;
  /** The tables as they were when the source was opened. */
  readonly declared: readonly PostgresTable[];
  readonly assembler: Assembler;
  readonly monitor: Monitor;
}

/** Makes changes of the log's messages: which rows are wanted, marks, drift. */
export function createSink({ wanted, types, declared, assembler, monitor }: SinkOptions): Sink {
  const drifted = new Set<TableSpec>();
  const codecOf = (oid: number): Codec => types.get(oid) ?? OTHER;

  const announce = (table: TableSpec, detail: string): void => {
    assembler.add({ table, op: 'drift', row: [], old: null, detail }, detail.length);
  };

  return {
    begin: (commit, committedAt, xid) => assembler.begin(commit, committedAt, xid),
    commit(end) {
      assembler.commit(end);
      monitor.received(end);
    },
    relation(relation) {
      const table = wanted.find(relation);
      if (table === undefined) return null;
      const described = declared.find(({ name }) => name === table.name);
      const plan = compilePlan(table, described, relation, codecOf);
      if (typeof plan === 'string') {
        if (!drifted.has(table)) announce(table, plan);
        drifted.add(table);
        return null;
      }
      if (drifted.delete(table)) announce(table, '');
      return plan;
    },
    row(plan) {
      const ahead = assembler.row();
      // The mark counts even where the position is behind it: every part of its transaction has it.
      return plan?.table === MARK ? assembler.atFirstRow() : ahead;
    },
    change({ table }: Plan, op, row, old, bytes) {
      if (table !== MARK) {
        assembler.add({ table, op, row, old }, bytes);
        return;
      }
      const mark = op === 'delete' ? null : markOf(row);
      if (mark !== null) assembler.mark(mark);
    },
    truncate(plans) {
      if (!assembler.row()) return;
      for (const { table } of plans) {
        if (table !== MARK) assembler.add({ table, op: 'truncate', row: [], old: null }, 0);
      }
    },
  };
}

function markOf([instance, lane, batch]: readonly Cell[]): Mark | null {
  if (instance == null || batch == null) return null;
  return lane === 'deliver' || lane === 'watermark' || lane === 'look'
    ? { instance, lane, batch: Number(batch) }
    : null;
}
