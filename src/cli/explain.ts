import type { Explanation } from '../contract/operator.ts';
import type { SystemView } from '../model/record.ts';
import { PERSONAL, type Register, show, styleOf, withOperator } from './command.ts';
import { renderConflicts, stampText } from './conflicts.ts';
import { EXIT } from './exit.ts';
import { renderParkedList } from './parked.ts';
import {
  ageSince,
  type Drawn,
  paint,
  printable,
  type Style,
  table,
  valueText,
} from './terminal.ts';

export const explain: Register = (cli, act) =>
  cli.command(
    'explain <entity> <key>',
    'all that is known of a record: what every system holds, stamps, history, what is on its way',
    (options) =>
      options
        .positional('entity', { type: 'string', demandOption: true })
        .positional('key', {
          type: 'string',
          demandOption: true,
          describe: 'the key of its row in any of the systems',
        })
        .options(PERSONAL),
    act(async (args, context) => {
      const found = await withOperator(args, context, (operator) =>
        operator.explain(args.entity, args.key, args.showPersonal),
      );
      const style = styleOf(context);
      show(args, context, found, () =>
        found.map((one) => renderExplanation(one, style)).join('\n\n'),
      );
      return found.length === 0 ? EXIT.problem : EXIT.ok;
    }),
  );

export function renderExplanation(one: Explanation, style: Style): string {
  const views = Object.entries(one.views);
  const deleted = one.deleted ? paint(' deleted', 'red', style) : '';
  const parts = [
    paint(one.record === null ? one.entity : `${one.entity} ${one.record}`, 'bold', style) +
      deleted,
    ...views.map(([system, view]) =>
      view.status === 'linked'
        ? `  ${system}: row ${printable(view.key)}`
        : `  ${system}: unlinked, its row is gone and none is wanted`,
    ),
    '',
    fieldTable(one, views, style),
  ];
  const section = (title: string, body: string) =>
    parts.push('', paint(title, 'bold', style), body);
  if (one.outbox.length > 0) section('on its way', outboxTable(one, style));
  if (one.parked.length > 0) section('parked', renderParkedList(one.parked, style));
  if (one.history.length > 0) section('history', renderConflicts(one.history, style));
  return parts.join('\n');
}

function fieldTable(
  one: Explanation,
  views: readonly [string, SystemView][],
  style: Style,
): string {
  const rows = one.fields.map((field, ordinal): Drawn[] => [
    field.name,
    valueText(field.value, 40),
    ...views.map(([, view]): Drawn => {
      const held = view.values[ordinal];
      if (view.status === 'unlinked' || held === undefined) return '';
      const text = valueText(held, 40);
      // What a system merely stores differently is no difference (invariant 5).
      const differs = held !== field.value && view.represents?.[ordinal] !== field.value;
      return differs ? { text, colour: 'yellow' } : text;
    }),
    stampText(field.stamp),
    field.held === null ? '' : { text: `conflict ${field.held}`, colour: 'yellow' },
  ]);
  const systems = views.map(([system]) => system.toUpperCase());
  return table(['FIELD', 'RECORD', ...systems, 'WRITTEN', 'HELD BY'], rows, style);
}

function outboxTable(one: Explanation, style: Style): string {
  const rows = one.outbox.map((entry): Drawn[] => [
    entry.system,
    ageSince(entry.since, style),
    entry.batch === null ? 'waits' : `sent in batch ${entry.batch}`,
    String(entry.attempts),
  ]);
  return table(['SYSTEM', '>AGE', 'STATE', '>CAME BACK'], rows, style);
}
