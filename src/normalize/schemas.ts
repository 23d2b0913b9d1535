import type { TableSchema } from '../model/change.ts';

/** By system name, as `System.describe` returns them. */
export type Schemas = ReadonlyMap<string, readonly TableSchema[]>;
