import type { Entity } from '../contract/entity.ts';
import type { JournalEntry, JournalSide, Parked } from '../contract/ledger.ts';
import type { Explanation } from '../contract/operator.ts';
import type { SystemView } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';

/** Stands for a value of a `pii` field, on the terminal and in JSON alike. NULL stays NULL. */
export const MASK = '•••';

type Entities = ReadonlyMap<string, Entity>;

function maskCell<C extends Cell>(cell: C): C {
  return typeof cell === 'string' ? (MASK as C) : cell;
}

/** `personal[i] !== false` masks: what is not known to be harmless counts as personal. */
function maskAll<C extends Cell>(values: readonly C[], personal: readonly boolean[]): C[] {
  return values.map((value, i) => (personal[i] === false ? value : maskCell(value)));
}

export function maskEntry(entry: JournalEntry, entities: Entities): JournalEntry {
  const entity = entities.get(entry.entity);
  const unit = entity?.units.find(({ name }) => name === entry.unit);
  const fields = unit?.fields.map((ordinal) => entity?.fields[ordinal]) ?? entity?.fields ?? [];
  const personal = fields.map((field) => field?.pii ?? true);
  const side = (given: JournalSide): JournalSide => ({
    ...given,
    values: given.values === null ? null : maskAll(given.values, personal),
  });
  return {
    ...entry,
    incoming: side(entry.incoming),
    standing: side(entry.standing),
    outcome: entry.outcome === null ? null : maskAll(entry.outcome, personal),
  };
}

/** Which columns an expression reads is not known here: one personal field masks them all. */
export function maskParked(parked: Parked, entities: Entities): Parked {
  if (parked.kind !== 'row' || parked.cells === null || !hasPersonal(parked.entity, entities)) {
    return parked;
  }
  return { ...parked, cells: maskColumns(parked.cells) };
}

export function maskExplanation(explanation: Explanation, entities: Entities): Explanation {
  const personal = explanation.fields.map(({ pii }) => pii);
  const view = (given: SystemView): SystemView => ({
    ...given,
    values: maskAll(given.values, personal),
    raw: given.raw !== null && personal.includes(true) ? maskColumns(given.raw) : given.raw,
    represents:
      given.represents === null
        ? null
        : Object.fromEntries(
            Object.entries(given.represents).map(([ordinal, value]) => [
              ordinal,
              personal[Number(ordinal)] === false ? value : maskCell(value),
            ]),
          ),
  });
  return {
    ...explanation,
    fields: explanation.fields.map((field) =>
      field.pii ? { ...field, value: maskCell(field.value) } : field,
    ),
    views: Object.fromEntries(
      Object.entries(explanation.views).map(([system, given]) => [system, view(given)]),
    ),
    history: explanation.history.map((entry) => maskEntry(entry, entities)),
    parked: explanation.parked.map((parked) => maskParked(parked, entities)),
  };
}

const hasPersonal = (entity: string, entities: Entities): boolean =>
  entities.get(entity)?.fields.some(({ pii }) => pii) ?? true;

const maskColumns = (columns: Readonly<Record<string, Value>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, maskCell(value)]));
