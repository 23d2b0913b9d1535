/**
 * Entities by hand, with lenses that spell every field as it is: what is tested with them is
 * reconcile and deliver, not the mapping language.
 */
import type {
  Deletion,
  Entity,
  Field,
  FieldKind,
  Lens,
  Policy,
  Unit,
} from '../../src/contract/entity.ts';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import type { Patch } from '../../src/contract/patch.ts';
import type { RecordState, SystemView } from '../../src/model/record.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import { createRecord } from '../../src/reconcile/settle.ts';

export interface EntityPlan {
  readonly name?: string;
  /** Field names in ordinal order; a kind or a reference where it is not a plain string. */
  readonly fields: Readonly<Record<string, FieldKind | { readonly ref: string }>>;
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  /** Chains by unit name; `last_writer` with no tolerance for the others. */
  readonly chains?: Readonly<Record<string, readonly Policy[]>>;
  readonly match?: readonly (readonly string[])[];
  readonly systems: Readonly<Record<string, LensPlan>>;
  readonly deleteConflict?: Entity['deleteConflict'];
  readonly firstContact?: readonly Policy[];
  readonly flood?: Entity['flood'];
}

export interface LensPlan {
  /** Fields that the system does not have. */
  readonly lacks?: readonly string[];
  /** Fields that it tells and we never write. */
  readonly readOnly?: readonly string[];
  /** Fields that we write and it never tells. */
  readonly writeOnly?: readonly string[];
  readonly deletion?: Deletion;
  /** A row with this value in this field is none of ours. */
  readonly outside?: readonly [string, Value];
}

export const LAST_WRITER: Policy = { kind: 'last_writer', tolerance: 0 };

export function entityOf(plan: EntityPlan): Entity {
  const names = Object.keys(plan.fields);
  const ordinal = (name: string): number => {
    const f = names.indexOf(name);
    if (f < 0) throw new Error(`no field ${name}`);
    return f;
  };
  const units = unitsOf(plan, names, ordinal);
  return {
    name: plan.name ?? 'customer',
    fields: names.map((name) => fieldOf(name, plan.fields[name]!)),
    match: (plan.match ?? [[names[0]!]]).map((tuple) => tuple.map(ordinal)),
    units,
    unitOf: names.map((_, f) => units.findIndex(({ fields }) => fields.includes(f))),
    lenses: new Map(
      Object.entries(plan.systems).map(([system, lens]) => [
        system,
        lensOf(system, plan, names, lens, ordinal),
      ]),
    ),
    deleteConflict: plan.deleteConflict ?? 'update_wins',
    firstContact: plan.firstContact ?? [{ kind: 'prefer', system: 'crm' }],
    flood: plan.flood ?? { share: 1, atLeast: 1_000_000, within: 60_000_000 },
  };
}

function unitsOf(
  { groups = {}, chains = {} }: EntityPlan,
  names: readonly string[],
  ordinal: (name: string) => number,
): Unit[] {
  const grouped = new Set(Object.values(groups).flat());
  const singles = names.filter((name) => !grouped.has(name)).map((name) => [name, [name]] as const);
  return [...Object.entries(groups), ...singles].map(([name, members]) => ({
    name,
    fields: members.map(ordinal),
    chain: chains[name] ?? [LAST_WRITER],
  }));
}

function fieldOf(name: string, kind: FieldKind | { readonly ref: string }): Field {
  const ref = typeof kind === 'string' ? null : kind.ref;
  const plain = typeof kind === 'string' ? kind : 'ref';
  const scale = plain === 'decimal' ? 2 : 0;
  return { name, kind: plain, required: false, pii: false, scale, ref };
}

/** The table is `id` and one column a field, in order. */
function lensOf(
  system: string,
  { name = 'customer' }: EntityPlan,
  names: readonly string[],
  { lacks = [], readOnly = [], writeOnly = [], deletion, outside }: LensPlan,
  ordinal: (name: string) => number,
): Lens {
  const reads = names.map((field) => !lacks.includes(field) && !writeOnly.includes(field));
  const writes = names.map((field) => !lacks.includes(field) && !readOnly.includes(field));
  const out = outside === undefined ? null : ([ordinal(outside[0]), outside[1]] as const);
  const isOut = (cells: readonly Cell[]) => out !== null && cells[out[0] + 1] === out[1];
  return {
    system,
    table: { name: `${system}_${name}`, key: ['id'], columns: ['id', ...names] },
    reads,
    writes,
    columnsOf: names.map((_, f) => (writes[f] ? [f + 1] : [])),
    personal: ['id', ...names].map(() => false),
    digest: { never: 'it is made by hand' },
    deletion: deletion ?? { kind: 'propagate' },
    onInsert: [],
    guards: [],
    read(row, held) {
      const cells = ['id', ...names].map((_, i) => (row[i] === undefined ? held(i) : row[i]));
      if (isOut(cells)) return { kind: 'outside' };
      if (deletion?.kind === 'soft' && cells[deletion.column] === deletion.value) {
        return { kind: 'deleted' };
      }
      const values = names.map((_, f) => (reads[f] ? cells[f + 1] : undefined));
      return { kind: 'row', values, raw: null, writtenAt: null };
    },
    write: (values) => [undefined, ...names.map((_, f) => (writes[f] ? values[f] : undefined))],
    admits: (cells) => !isOut(cells),
  };
}

export type Told = Readonly<Record<string, Value>>;

const cellsOf = ({ fields }: Entity, told: Told): Cell[] => {
  for (const name of Object.keys(told)) {
    if (!fields.some((field) => field.name === name)) throw new Error(`no field ${name}`);
  }
  return fields.map(({ name }) => told[name]);
};

/** What `system` tells: fields that are not named were left out of the image. */
export function patchOf(entity: Entity, system: string, told: Told, at: number): Patch {
  const lens = entity.lenses.get(system)!;
  return { entity, lens, key: `${system}-1`, values: cellsOf(entity, told), raw: null, at };
}

export const sentOf = (entity: Entity, told: Told, op: 'insert' | 'update' = 'update') => ({
  op,
  values: cellsOf(entity, told),
});

/** Record 1, written by `by` at time 1000, and held as it is by every system. */
export function recordOf(entity: Entity, told: Told, by = 'crm'): RecordState {
  const first = createRecord(1, patchOf(entity, by, told, 1000));
  const views = [...entity.lenses.values()].map(({ system, reads }): [string, SystemView] => [
    system,
    {
      status: 'linked',
      key: `${system}-1`,
      values: first.values.map((value, f) => (reads[f] ? value : undefined)),
      raw: null,
      represents: null,
    },
  ]);
  return { ...first, views: Object.fromEntries(views) };
}

export const valuesOf = (entity: Entity, record: RecordState): Record<string, Value> =>
  Object.fromEntries(entity.fields.map(({ name }, f) => [name, record.values[f] ?? null]));

export const heldBy = (entity: Entity, record: RecordState, system: string) =>
  Object.fromEntries(
    entity.fields.flatMap(({ name }, f): [string, Value][] => {
      const cell = record.views[system]?.values[f];
      return cell === undefined ? [] : [[name, cell]];
    }),
  );

/** The part of a journal entry that a case is about. */
export const verdictOf = ({ unit, kind, state, policy, winner, outcome }: JournalEntry) => ({
  unit,
  kind,
  state,
  policy,
  winner,
  outcome,
});
