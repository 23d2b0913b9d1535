/** Why something is parked: the stable codes of `Parked.reason`, and what a person can do. */
export const PARK_REASONS = {
  invalid: {
    meaning: 'the row does not pass the validation of its mapping',
    next: 'correct the row in its system (it is read again by itself), or the mapping, then retry',
  },
  ambiguous: {
    meaning: 'the match keys of the row fit more than one record',
    next: 'make the keys unique in the systems, then retry',
  },
  duplicate: {
    meaning: 'the record that the row matches already has another row in this system',
    next: 'merge or delete one of the two rows in the system, then retry',
  },
  waiting: {
    meaning: 'the row refers to a row that has not been seen yet',
    next: 'nothing, it goes on when that row arrives; if it never does, correct the reference',
  },
  schema_drift: {
    meaning: 'the table no longer fits its mapping',
    next: 'bring the column back, or change the mapping: it is read again by itself',
  },
  refused: {
    meaning: 'the target refused the write: a constraint, a trigger or a type',
    next: 'see the detail, correct the values or the constraint, then retry',
  },
  drifted: {
    meaning: 'the target row keeps holding what its log never told us',
    next: 'look for writes that bypass the log (binlog off, replication role), then retry',
  },
  flood: {
    meaning: 'more deletes came at once than the mapping lets through',
    next: 'retry carries the deletes out; discard keeps the records',
  },
  truncate: {
    meaning: 'the whole table was truncated, which is never passed on by itself',
    next: 'retry deletes the records elsewhere too; discard keeps them',
  },
  flipping: {
    meaning: 'two systems keep undoing each other, such as two triggers or jobs',
    next: 'stop one of the writers or give the field one direction, then retry',
  },
  forgotten: {
    meaning: 'its record was forgotten: the row is passed over until it is deleted',
    next: 'nothing; retry or discard lets its next change be read again, as of a new row',
  },
} as const satisfies Record<string, { meaning: string; next: string }>;
