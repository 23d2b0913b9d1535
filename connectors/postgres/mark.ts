import type { TableSpec } from '../../src/model/change.ts';

export const MARK_SCHEMA = 'carrick';

/** One row for each lane of each instance: what this connector wrote last. */
export const MARK: TableSpec = {
  name: `${MARK_SCHEMA}.carrick_mark`,
  key: ['instance', 'lane'],
  columns: ['instance', 'lane', 'batch'],
};
