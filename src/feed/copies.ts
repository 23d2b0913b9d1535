import type { Progress, Sweep } from '../capture/progress.ts';
import type { KnownRows } from '../capture/reader.ts';
import type { Source } from '../contract/source.ts';
import type { Decisions } from '../decide/decisions.ts';
import { parkedRows } from '../decide/selection.ts';
import type { TableSpec } from '../model/change.ts';
import { rowKey, rowKeyValues, type Value } from '../model/value.ts';
import { sourceKey } from './copy.ts';
import type { Feed, FeedRoute } from './plan.ts';

/** A table of the target as the keys of its rows alone. */
export const keyTable = ({ target: { table }, key, keyOf }: FeedRoute): TableSpec => ({
  name: table.name,
  key: key.map((i) => table.columns[i]!),
  columns: keyOf.target.table.columns,
});

/**
 * The target's rows, by the keys that they have in the source: which of them went with a truncate,
 * or while the table did not fit its mapping, the source's log does not say. For any other reading
 * of a table only rows that are set aside are known: what else the source does not have was not
 * put there by a feed.
 */
export function copiesIn(parts: {
  readonly feed: Feed;
  readonly decisions: Decisions;
  openTarget(): Promise<Pick<Source, 'read'> & AsyncDisposable>;
}) {
  let target: ReturnType<typeof parts.openTarget> | null = null;
  return {
    async known(
      table: TableSpec,
      from: Sweep,
      limit: number,
      { absent, mends }: Progress,
    ): Promise<KnownRows> {
      const routes = parts.feed.routes.get(table) ?? [];
      const names = routes.map(({ entity }) => entity.name).sort();
      const name = names.find((one) => one >= from.entity);
      const route = routes.find(({ entity }) => entity.name === name);
      if (name === undefined || route === undefined) return { keys: [], besides: [], next: null };
      const following = names[names.indexOf(name) + 1];
      const behind = following === undefined ? null : { entity: following, after: null };
      const inside = from.entity === name;
      const isToldAll = absent === undefined && mends !== true;
      if (isToldAll || (inside && from.parked !== undefined)) {
        const before = inside ? from.parked : null;
        const page = await parkedRows(parts.decisions, parts.feed.to, name, before);
        const keys = page.keys.map((key) => rowKeyValues(key, table.key.length));
        return { keys, besides: [], next: page.next ?? behind };
      }
      const after =
        inside && from.after !== null ? rowKeyValues(from.after, route.key.length) : null;
      target ??= parts.openTarget();
      const spec = keyTable(route);
      const { rows, next } = await (await target).read({ table: spec, after, limit });
      const keys = rows.flatMap((row): (readonly Value[])[] => {
        const key = sourceKey(route, row);
        return key === null ? [] : [key];
      });
      const parked = { entity: name, after: null, parked: null };
      return {
        keys,
        besides: [],
        next: next === null ? parked : { entity: name, after: rowKey(next) },
      };
    },
    async [Symbol.asyncDispose]() {
      await (await target?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}
