import type { TypeCase } from '../driver.ts';
import { types as common } from './mariadb-types.ts';

/** MariaDB spells a JSON document as it was written. */
const MARIADB_ONLY = /^(json|uuid|inet[46])$/;

/** Every type of MySQL, with its extremes. */
export const types: readonly TypeCase[] = [
  ...common.filter(({ type }) => !MARIADB_ONLY.test(type)),
  {
    type: 'json',
    kind: 'json',
    cases: [
      [
        `'{"b": {"x": null}, "a": "é", "B": [1.0, 1e300, 1e15, 2e3]}'`,
        '{"B":[1.0,1e300,1e15,2000.0],"a":"é","b":{"x":null}}',
      ],
      [`'"text"'`, '"text"'],
      [`'[]'`, '[]'],
      [`'null'`, 'null'],
      [
        `'[18446744073709551615, -9223372036854775808]'`,
        '[18446744073709551615,-9223372036854775808]',
      ],
    ],
  },
  {
    type: 'vector(2)',
    kind: 'bytes',
    cases: [[`string_to_vector('[1, 2]')`, '0000803f00000040']],
  },
  {
    type: 'varchar(20) collate utf8mb4_0900_ai_ci',
    kind: 'string',
    cases: [[`'trailing  '`, 'trailing  ']],
  },
];
