import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { Entity, Lens } from '../contract/entity.ts';
import type { JournalEntry, JournalSide, Parked } from '../contract/ledger.ts';
import type { Difference, Explanation, Verified, VerifyPart } from '../contract/operator.ts';
import type { SystemView } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';

/** Stands for a personal value, on the terminal and in JSON alike. NULL stays NULL. */
export const MASK = '•••';

type Entities = ReadonlyMap<string, Entity>;

/** What hides personal values in everything that people look at. */
export interface Masks {
  entry(entry: JournalEntry): JournalEntry;
  parked(parked: Parked): Parked;
  explanation(explanation: Explanation): Explanation;
  /** Masked keys can be given back: see `unmaskedPart`. */
  verified(entity: string, system: string, verified: Verified): Verified;
  unmaskedPart(part: VerifyPart): VerifyPart;
  key(entity: string, system: string, key: string): string;
  unmaskedKey(key: string): string;
}

export function masksOf(entities: Entities): Masks {
  const entry = (one: JournalEntry) => maskEntry(one, entities);
  const parked = (one: Parked) => maskParked(one, entities);
  return {
    entry,
    parked,
    explanation: (one) => maskExplanation(one, entities),
    verified: (entity, system, one) => maskVerified(one, entities, entity, system),
    key: (entity, system, key) => (isPersonalKey(entities, system, entity) ? sealedKey(key) : key),
    unmaskedKey: unsealedKey,
    unmaskedPart: (part) =>
      part.kind === 'keys'
        ? { ...part, keys: part.keys.map(unsealedKey) }
        : { ...part, after: part.after === null ? null : unsealedKey(part.after) },
  };
}

export function maskCell<C extends Cell>(cell: C): C {
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

/** Whether the row key of an entity is personal in a system; what is not known counts as such. */
export function isPersonalKey(entities: Entities, system: string, name: string): boolean {
  const entity = entities.get(name);
  const lens = entity?.lenses.get(system);
  if (lens === undefined) return hasPersonal(entity);
  const { table, personal, guards } = lens;
  const isCopy = entity?.feed !== undefined && entity.feed.from !== system;
  // A feed tells its rows apart by what it matches them by.
  const key = isCopy ? (guards[0] ?? []) : table.key.map((column) => table.columns.indexOf(column));
  return key.some((column) => personal[column] !== false);
}

const hasPersonal = (entity: Entity | undefined): boolean =>
  entity?.fields.some(({ pii }) => pii) ?? true;

export function maskKey(entities: Entities, system: string, entity: string, key: string): string {
  return isPersonalKey(entities, system, entity) ? MASK : key;
}

export function maskParked(parked: Parked, entities: Entities): Parked {
  if (parked.kind !== 'row') return parked;
  const { system, waits, cells } = parked;
  const entity = entities.get(parked.entity);
  const keyIn = (name: string, key: string) => maskKey(entities, system, name, key);
  return {
    ...parked,
    key: keyIn(parked.entity, parked.key),
    waits: waits === null ? null : { ...waits, key: keyIn(waits.entity, waits.key) },
    cells: cells === null ? null : maskColumns(cells, entity, entity?.lenses.get(system)),
  };
}

/** Of an entity with personal fields only columns that are known to be harmless are shown. */
function maskColumns(
  columns: Readonly<Record<string, Value>>,
  entity: Entity | undefined,
  lens: Lens | undefined,
): Record<string, Value> {
  if (!hasPersonal(entity)) return { ...columns };
  const harmless = lens?.table.columns.filter((_, i) => lens.personal[i] === false) ?? [];
  return Object.fromEntries(
    Object.entries(columns).map(([name, value]) => [
      name,
      harmless.includes(name) ? value : maskCell(value),
    ]),
  );
}

export function maskExplanation(explanation: Explanation, entities: Entities): Explanation {
  const entity = entities.get(explanation.entity);
  const personal = explanation.fields.map(({ pii }) => pii);
  const view = (system: string, given: SystemView): SystemView => ({
    ...given,
    key: maskKey(entities, system, explanation.entity, given.key),
    values: maskAll(given.values, personal),
    raw: given.raw === null ? null : maskColumns(given.raw, entity, entity?.lenses.get(system)),
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
      Object.entries(explanation.views).map(([system, given]) => [system, view(system, given)]),
    ),
    history: explanation.history.map((entry) => maskEntry(entry, entities)),
    parked: explanation.parked.map((parked) => maskParked(parked, entities)),
  };
}

function maskVerified(
  verified: Verified,
  entities: Entities,
  entity: string,
  system: string,
): Verified {
  const keyOf = (one: string, key: string) =>
    isPersonalKey(entities, one, entity) ? sealedKey(key) : key;
  return {
    ...verified,
    next: verified.next === null ? null : keyOf(system, verified.next),
    elsewhere: verified.elsewhere.map((one) => ({ ...one, key: keyOf(one.system, one.key) })),
    differences: verified.differences.map(
      (one): Difference => ({
        ...one,
        key: keyOf(one.of ?? one.system, one.key),
        fields: one.fields.map((field) =>
          field.pii
            ? { ...field, row: maskCell(field.row), record: maskCell(field.record) }
            : field,
        ),
      }),
    ),
  };
}

/**
 * A personal row key that can be given back: encrypted for as long as this process runs, the same
 * key always alike, because its nonce is made from it (as in RFC 5297).
 */
const secrets = { seal: randomBytes(32), nonce: randomBytes(32) };
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

function sealedKey(key: string): string {
  const nonce = createHmac('sha256', secrets.nonce).update(key).digest().subarray(0, NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secrets.seal, nonce);
  const body = Buffer.concat([cipher.update(key, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return MASK + Buffer.concat([nonce, body]).toString('base64url');
}

/** What is none of ours, or of an earlier process, is a key as it stands. */
function unsealedKey(text: string): string {
  if (!text.startsWith(MASK)) return text;
  const bytes = Buffer.from(text.slice(MASK.length), 'base64url');
  const end = bytes.length - TAG_BYTES;
  try {
    const options = { authTagLength: TAG_BYTES };
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', secrets.seal, nonce, options);
    decipher.setAuthTag(bytes.subarray(end));
    const key = decipher.update(bytes.subarray(NONCE_BYTES, end), undefined, 'utf8');
    return key + decipher.final('utf8');
  } catch {
    return text;
  }
}
