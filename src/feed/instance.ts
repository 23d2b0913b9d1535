import { halt } from '../errors.ts';

const LONGEST = 40;

/**
 * The name under which a feed reads its source's log: its slot and its fences are not those of the
 * settled entities. Errors: `config.instance` (halt) where the name would be too long for a slot.
 */
export function feedInstance(instance: string, to: string): string {
  const name = `${instance}_${to.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`;
  if (name.length <= LONGEST) return name;
  throw halt(
    'config.instance',
    `a feed into ${to} would be called ${name}, and ${LONGEST} characters are the most`,
    'give the instance or the system a shorter name',
  );
}
