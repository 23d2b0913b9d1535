import type { Micros } from '../model/value.ts';
import type { FieldPlan } from './fields.ts';
import type { MappingValue } from './mapping.ts';
import type { Report } from './report.ts';

/** What the policies of an entity are compiled from. */
export interface PolicyInput {
  readonly value: MappingValue;
  readonly fields: readonly FieldPlan[];
  /** By system name: the ordinals of the fields that it tells. */
  readonly told: ReadonlyMap<string, ReadonlySet<number>>;
  readonly tolerance: Micros;
  readonly report: Report;
}
