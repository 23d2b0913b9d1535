import type { Explanation } from '../contract/operator.ts';
import type { Cell } from '../model/value.ts';
import { pick } from '../reconcile/row-event.ts';
import { unknown } from './acts.ts';
import type { FedParts } from './fed.ts';
import { judge, keyInSource, keyInTarget, type Pair, pairsNamed, type Way } from './ways.ts';

type Views = Explanation['views'];

/** What the systems hold of one row now: of a fed entity nothing else is known. */
export async function explainFed(
  parts: FedParts,
  entity: string,
  text: string,
): Promise<Explanation> {
  const ways = await parts.ways(entity);
  for (const original of originalsNamed(ways, text)) {
    const views: Record<string, Views[string]> = {};
    let values: readonly Cell[] | null = null;
    for (const way of ways) {
      const [pair] = await pairsNamed(parts.read, way, way.feed.from, [original]);
      if (pair === undefined) continue;
      values = pair.source === null ? null : valuesOf(way, pair.source);
      Object.assign(views, viewsOf(way, pair, values));
    }
    if (Object.keys(views).length === 0) continue;
    return explanationOf(parts, ways[0]!, { original, values, views });
  }
  throw unknown(`no ${entity} row is known by that key`);
}

/** `crm:KEY` a row of that system; else of the source, or of any target: by the source's key. */
function originalsNamed(ways: readonly Way[], text: string): string[] {
  const [system = '', ...rest] = text.split(':');
  const isNamed =
    rest.length > 0 && ways.some(({ feed: { from, to } }) => [from, to].includes(system));
  const key = isNamed ? rest.join(':') : text;
  const found = ways.flatMap((way) => {
    const { from, to } = way.feed;
    const own = keyInTarget(way, key) === null ? null : key;
    return [
      !isNamed || system === from ? own : null,
      !isNamed || system === to ? keyInSource(way, key) : null,
    ];
  });
  return [...new Set(found.filter((one) => one !== null))];
}

function valuesOf({ route }: Way, row: readonly Cell[]): readonly Cell[] {
  const read = route.source.read(pick(row, route.pick), () => undefined);
  return 'values' in read ? read.values : [];
}

/** What a target holds otherwise is told as it spells it, all else as the source means it. */
function viewsOf(way: Way, pair: Pair, values: readonly Cell[] | null): Views {
  const { feed, route } = way;
  const { source, target, original, copy } = pair;
  const base = { status: 'linked', raw: null, represents: null } as const;
  const own =
    source === null ? {} : { [feed.from]: { ...base, key: original ?? '', values: values ?? [] } };
  if (target === null) return own;
  const judged = judge(way, pair);
  const apart = new Set(judged?.kind === 'differs' ? judged.columns.map(({ at }) => at) : []);
  const held = route.target.columnsOf.map((columns, f): Cell => {
    const at = values === null ? columns[0] : columns.find((one) => apart.has(one));
    return at === undefined ? (columns.length === 0 ? undefined : values?.[f]) : target[at];
  });
  return { ...own, [feed.to]: { ...base, key: copy ?? '', values: held } };
}

async function explanationOf(
  { decisions }: FedParts,
  { feed, route: { entity } }: Way,
  {
    original,
    values,
    views,
  }: { original: string; values: readonly Cell[] | null; views: Explanation['views'] },
): Promise<Explanation> {
  const links = [{ system: feed.to, entity: entity.name, key: original }];
  const { parkedRows } = await decisions.ledger.find({ parkedRows: links });
  return {
    entity: entity.name,
    record: null,
    deleted: values === null,
    fields: entity.fields.map(({ name, pii }, f) => ({
      ...{ name, pii, value: values?.[f] ?? null, stamp: null, held: null },
    })),
    views,
    outbox: [],
    history: [],
    parked: parkedRows.filter((one) => one !== null),
  };
}
