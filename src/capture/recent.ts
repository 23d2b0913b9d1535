export interface Recent {
  add(text: string): void;
  has(text: string): boolean;
}

/** The latest `size` texts, forgetting the oldest. */
export function recent(size: number): Recent {
  const texts = new Set<string>();
  return {
    has: (text) => texts.has(text),
    add(text) {
      texts.add(text);
      if (texts.size <= size) return;
      const [oldest] = texts;
      if (oldest !== undefined) texts.delete(oldest);
    },
  };
}
