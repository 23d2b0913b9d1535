import type { TableSpec } from '../../src/model/change.ts';

export const MARK_SCHEMA = 'carrick';

/** One row for each lane of each instance: what this connector wrote last. */
export const MARK: TableSpec = {
  name: `${MARK_SCHEMA}.carrick_mark`,
  key: ['instance', 'lane'],
  columns: ['instance', 'lane', 'batch'],
};

/** One row for each feed of each instance: how far it is. Not in a publication. */
export const FEED_TABLE = `${MARK_SCHEMA}.carrick_feed`;
