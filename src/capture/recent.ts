export interface Recent {
  add(text: string): void;
  has(text: string): boolean;
}

/** At least the latest `size` texts, and at most twice as many; no work to forget one. */
export function recent(size: number): Recent {
  let younger = new Set<string>();
  let older = new Set<string>();
  return {
    has: (text) => younger.has(text) || older.has(text),
    add(text) {
      younger.add(text);
      if (younger.size < size) return;
      older = younger;
      younger = new Set();
    },
  };
}
