export type Path = readonly (string | number)[];

export interface Detail {
  /** At the key itself, not at its value. */
  readonly key?: boolean;
  /** Characters into a text. */
  readonly offset?: number | undefined;
  readonly expected?: string | undefined;
  /** A name that was written, and the names that would have been valid. */
  readonly near?: readonly [written: string, valid: Iterable<string>] | undefined;
}

/** Takes one mistake at a place in the mapping file that is being compiled. */
export type Report = (path: Path, message: string, detail?: Detail) => void;
