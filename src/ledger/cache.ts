/** A bounded memory of what was used lately. */
export interface Cache<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V, weight: number): void;
  delete(key: K): void;
  clear(): void;
}

interface Kept<V> {
  readonly value: V;
  readonly weight: number;
}

/**
 * Two generations instead of a list in order of use: an entry that is used moves to the young
 * one; when that weighs half of `limit` it becomes the old one, and what was old is forgotten.
 */
export function createCache<K, V>(limit: number): Cache<K, V> {
  let young = new Map<K, Kept<V>>();
  let old = new Map<K, Kept<V>>();
  let weight = 0;
  const put = (key: K, kept: Kept<V>) => {
    weight += kept.weight - (young.get(key)?.weight ?? 0);
    young.set(key, kept);
    if (weight * 2 <= limit) return;
    old = young;
    young = new Map();
    weight = 0;
  };
  return {
    get(key) {
      const kept = young.get(key);
      if (kept !== undefined) return kept.value;
      const aged = old.get(key);
      if (aged === undefined) return undefined;
      old.delete(key);
      put(key, aged);
      return aged.value;
    },
    set(key, value, weight) {
      old.delete(key);
      put(key, { value, weight });
    },
    delete(key) {
      weight -= young.get(key)?.weight ?? 0;
      young.delete(key);
      old.delete(key);
    },
    clear() {
      young = new Map();
      old = new Map();
      weight = 0;
    },
  };
}
