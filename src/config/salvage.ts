import { fittingBranch, type Issue } from './check.ts';
import { type Mapping, mappingSchema } from './mapping.ts';
import type { Problem } from './problem.ts';
import type { Path, YamlFile } from './yaml.ts';

/** A mapping file of the wrong form, as far as it goes without what is wrong. */
export interface Salvaged {
  readonly mapping: Mapping;
  /** A problem that is there only because something was left out. */
  isConsequence(problem: Problem): boolean;
}

/** What names a field, an entity or a key cannot be left out: all the rest hangs on it. */
const ESSENTIAL = new Set<string | number | undefined>(['entity', 'match', 'fields', 'groups']);

/**
 * A mistake in the form of a file must not hide its other mistakes: what is wrong is left out, and
 * the rest can be compiled. Null where too little would be left.
 */
export function salvage(yaml: YamlFile): Salvaged | null {
  const checked = mappingSchema.safeParse(yaml.value);
  const issues = (checked.error?.issues ?? []) as readonly Issue[];
  const wrong = issues.flatMap((issue) => placesOf(issue, []));
  if (wrong.some(([first]) => ESSENTIAL.has(first) || first === undefined)) return null;
  const value = structuredClone(yaml.value);
  for (const path of wrong) remove(value, path);
  const rest = mappingSchema.safeParse(value);
  if (!rest.success) return null;
  const consequences = new Set<Problem>();
  const problem: YamlFile['problem'] = (path, message, more) => {
    const found = yaml.problem(path, message, more);
    const isNear = (place: Path) => isPrefix(place, path) || isPrefix(path, place);
    if (wrong.some((place) => isNear(place) || isNear(fieldOf(place)))) consequences.add(found);
    return found;
  };
  return {
    mapping: { value: rest.data, yaml: { ...yaml, value, problem } },
    isConsequence: (found) => consequences.has(found),
  };
}

function placesOf(issue: Issue, base: Path): Path[] {
  const path = [...base, ...(issue.path as (string | number)[])];
  if (issue.code === 'invalid_union') {
    const branch = fittingBranch(issue.errors ?? []);
    if (branch !== null) return branch.flatMap((inner) => placesOf(inner, path));
  }
  if (issue.code === 'unrecognized_keys') return (issue.keys ?? []).map((key) => [...path, key]);
  // Without one of its elements a list would stand elsewhere than its text does.
  return [typeof path.at(-1) === 'number' ? path.slice(0, -1) : path];
}

function remove(value: unknown, path: Path): void {
  let at = value as Record<string | number, unknown> | undefined;
  for (const step of path.slice(0, -1)) at = at?.[step] as typeof at;
  const last = path.at(-1);
  if (typeof at === 'object' && at !== null && last !== undefined) delete at[last];
}

const isPrefix = (short: Path, long: Path): boolean => short.every((step, i) => long[i] === step);

/** The field whose mapping in a system was left out; else the place itself. */
const fieldOf = (place: Path): Path =>
  place.length === 4 && place[0] === 'systems' && place[2] === 'fields'
    ? ['fields', place[3] ?? '']
    : place;
