/** What is wrong with a system's options; `known`: of an unknown one, those that there are. */
export interface OptionProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly known?: readonly string[];
}

/** What a schema found, as zod tells it. */
interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

/** What a connector's schema found, each at the option that it is about. */
export function optionProblems(
  issues: readonly Issue[],
  options: unknown,
  known: readonly string[],
): OptionProblem[] {
  return issues.flatMap(({ code, path: steps, message, keys = [] }): OptionProblem[] => {
    const path = steps.map((step) => (typeof step === 'symbol' ? String(step) : step));
    if (code === 'unrecognized_keys') {
      return keys.map((key) => {
        return { path: [...path, key], message: `unknown option "${key}"`, known };
      });
    }
    const [name] = path;
    const isThere = name === undefined || Object.hasOwn(Object(options), name);
    return [{ path, message: isThere ? message : `missing option "${name}"` }];
  });
}
