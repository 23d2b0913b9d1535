import { readMapping } from '../../src/config/read-mapping.ts';
import type { Entity } from '../../src/contract/entity.ts';
import type { TableSchema } from '../../src/model/change.ts';
import type { ColumnKind, Value } from '../../src/model/value.ts';
import { compileEntities } from '../../src/normalize/compile.ts';
import { FEEDS } from './feed-copier.ts';
import type { Random } from './random.ts';
import { type Cells, Refusal, type TableDef } from './system.ts';

/** What one seed's source, targets and mappings are like. */
export interface FeedSetup {
  /** Beside `crm`, which is the only source. */
  readonly targets: readonly string[];
  /** Whether the source tells whole rows, all but unchanged long texts, or only what changed. */
  readonly images: 'full' | 'toast' | 'minimal';
  readonly late: boolean;
  /** Two items with one slot: the target takes only one of them. */
  readonly unique: boolean;
  /** A trigger of the target takes no negative amount. */
  readonly picky: boolean;
  /** A field that is computed from two columns. */
  readonly computed: boolean;
  /** A second entity over a part of the items. */
  readonly special: boolean;
  readonly deletes: 'propagate' | 'soft' | 'ignore';
  readonly flood: boolean;
  readonly loadShare: number;
}

export function drawFeedSetup(random: Random): FeedSetup {
  return {
    targets: random.chance(0.3) ? ['erp', 'web'] : ['erp'],
    images: random.pick(['full', 'toast', 'minimal']),
    late: random.chance(0.3),
    unique: random.chance(0.4),
    picky: random.chance(0.4),
    computed: random.chance(0.3),
    special: random.chance(0.4),
    deletes: random.pick(['propagate', 'propagate', 'soft', 'ignore']),
    flood: random.chance(0.25),
    loadShare: random.pick([1, 0.5]),
  };
}

const KINDS: Readonly<Record<string, string>> = { S: 'standard', G: 'gold' };
/** A code that no mapping knows. */
export const UNKNOWN_CODE = 'X9';

type Copied = Readonly<Record<string, Value>>;

/**
 * One entity's way into a target, told apart from the mapping that the code under test reads.
 * `project`: what the target's row holds of one of the source; null: it has none, or no valid one.
 */
export interface Way {
  readonly entity: string;
  readonly source: string;
  readonly target: string;
  readonly to: string;
  /** In the source and in the target, in one order. */
  readonly key: readonly string[];
  readonly copyKey: readonly string[];
  isInvalid(row: Cells): boolean;
  project(row: Cells): Copied | null;
}

const isShown = (row: Cells): boolean => row.hidden === 'false';
const isInvalid = (row: Cells): boolean => isShown(row) && KINDS[row.kind ?? ''] === undefined;

export function waysOf({ targets, special, computed }: FeedSetup): Way[] {
  const table = (to: string, name: string): string => (to === 'web' ? `shop.${name}` : name);
  return targets.flatMap((to): Way[] => [
    {
      ...{ entity: 'item', source: 'public.items', target: table(to, 'articles'), to },
      ...{ key: ['id'], copyKey: ['code'], isInvalid },
      project: (row) =>
        isShown(row) && !isInvalid(row)
          ? {
              ...{ code: row.id ?? null, title: row.name ?? null, note: row.note ?? null },
              ...{ kind: KINDS[row.kind ?? ''] ?? null, slot: row.slot ?? null },
              ...(computed
                ? { label: row.name || row.note ? `${row.name ?? ''}/${row.note ?? ''}` : null }
                : {}),
            }
          : null,
    },
    ...(to !== 'erp'
      ? []
      : [
          {
            ...{ entity: 'price', source: 'public.prices', target: table(to, 'price_list'), to },
            ...{ key: ['item', 'tier'], copyKey: ['article', 'tier'], isInvalid: () => false },
            project: (row: Cells) => ({
              ...{ article: row.item ?? null, tier: row.tier ?? null, amount: row.amount ?? null },
              remark: row.note ?? null,
            }),
          },
        ]),
    ...(to !== 'erp' || !special
      ? []
      : [
          {
            ...{ entity: 'special', source: 'public.items', target: 'specials', to },
            ...{ key: ['id'], copyKey: ['code'], isInvalid: () => false },
            project: (row: Cells) =>
              row.kind === 'G' ? { code: row.id ?? null, title: row.name ?? null } : null,
          },
        ]),
  ]);
}

type Kind = [column: string, kind: ColumnKind, content: Value];
const text = (...names: readonly string[]): Kind[] => names.map((name) => [name, 'string', null]);

const TABLES: Readonly<
  Record<string, Readonly<Record<string, { key: string[]; columns: Kind[]; made?: true }>>>
> = {
  crm: {
    'public.items': {
      key: ['id'],
      columns: [
        ...text('id', 'name', 'kind', 'slot', 'note', 'inside'),
        ['hidden', 'boolean', 'false'],
      ],
    },
    'public.prices': { key: ['item', 'tier'], columns: text('item', 'tier', 'amount', 'note') },
  },
  erp: {
    articles: {
      key: ['nr'],
      made: true,
      columns: [
        ...text('nr', 'code', 'title', 'kind', 'slot', 'note', 'label', 'own'),
        ['active', 'boolean', 'true'],
      ],
    },
    price_list: { key: ['article', 'tier'], columns: text('article', 'tier', 'amount', 'remark') },
    specials: { key: ['code'], columns: text('code', 'title') },
  },
  web: {
    'shop.articles': {
      key: ['code'],
      columns: [
        ...text('code', 'title', 'kind', 'slot', 'note', 'label'),
        ['active', 'boolean', 'true'],
      ],
    },
  },
};

function mappingTexts({ targets, special, computed, deletes, flood }: FeedSetup): string[] {
  const label = computed ? ', label: label' : '';
  const gone = { propagate: '', soft: 'delete: {soft: {active: false}}', ignore: 'delete: ignore' };
  const rest = flood
    ? 'flood: {share: 0, at_least: 1, within: 10m}'
    : 'flood: {share: 1, at_least: 1000}';
  const item = (to: string): string => `
  ${to}:
    table: ${to === 'web' ? 'shop.articles' : 'articles'}
    key: ${to === 'web' ? 'code' : 'nr'}
    fields: {no: code, name: title, kind: kind, slot: slot, note: note${label}}
    ${to === 'erp' ? gone[deletes] : ''}`;
  return [
    `
entity: item
feed: crm
match: [[no]]
fields:
  no: {type: string, required: true}
  name: string
  kind: {type: enum, values: [standard, gold]}
  slot: string
  note: string
${computed ? '  label: string' : ''}
systems:
  crm:
    table: public.items
    key: id
    where: "hidden == false"
    fields:
      no: id
      name: name
      kind: {column: kind, values: {S: standard, G: gold}}
      slot: slot
      note: note
${computed ? '      label: {get: "name + \'/\' + note"}' : ''}
${targets.map(item).join('')}
${rest}
`,
    ...(targets.includes('erp')
      ? [
          `
entity: price
feed: crm
match: [[item, tier]]
fields: {item: string, tier: string, amount: string, note: string}
systems:
  crm:
    table: public.prices
    key: [item, tier]
    fields: {item: item, tier: tier, amount: amount, note: note}
  erp:
    table: price_list
    key: [article, tier]
    fields: {item: article, tier: tier, amount: amount, note: remark}
${rest}
`,
        ]
      : []),
    ...(special && targets.includes('erp')
      ? [
          `
entity: special
feed: crm
match: [[no]]
fields: {no: string, name: string}
systems:
  crm: {table: public.items, key: id, where: "kind == 'G'", fields: {no: id, name: name}}
  erp: {table: specials, key: code, fields: {no: code, name: title}}
${rest}
`,
        ]
      : []),
  ];
}

/** `settled`: the same mappings without `feed`, its directions written out. */
export function feedEntities(setup: FeedSetup, settled = false): readonly Entity[] {
  const mappings = mappingTexts(setup).map((text, i) => {
    const read = readMapping(`feed-${i}.yaml`, settled ? asSettled(text) : text);
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    return read.value;
  });
  const schemas = new Map(['crm', ...setup.targets].map((one) => [one, schemasOf(one)]));
  const compiled = compileEntities(mappings, (_, names) => names, schemas);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.value;
}

const asSettled = (text: string): string => text.replace('feed: crm\n', '');

function schemasOf(system: string): TableSchema[] {
  return Object.entries(TABLES[system] ?? {}).map(([name, { key, columns, made }]) => ({
    name,
    primaryKey: key,
    columns: columns.map(([column, kind]) => ({
      ...{ name: column, kind, nativeType: kind, nullable: true, readOnly: false },
      hasDefault: made === true && key.includes(column),
    })),
  }));
}

const FEED_TABLE = { key: ['feed'], columns: text('feed', 'position', 'progress') };

export function feedTables(system: string, { unique, picky }: FeedSetup): TableDef[] {
  return Object.entries({ ...TABLES[system], [FEEDS]: FEED_TABLE }).map(([name, def]) => ({
    name,
    key: def.key,
    generated: 'made' in def,
    references: null,
    unique: [
      ...('made' in def ? [['code']] : []),
      ...(unique && name === 'articles' ? [['slot']] : []),
    ],
    columns: Object.fromEntries(def.columns.map(([column, , content]) => [column, content])),
    trigger(_before, row) {
      const refused = picky && name === 'price_list' && row.amount?.startsWith('-') === true;
      if (refused) throw new Refusal('45000', 'no negative amounts');
    },
    follow: () => null,
    hidden: () => false,
    who: () => '',
  }));
}
