/** A bounded memory of what was used lately. */
export interface Cache<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): void;
  clear(): void;
}

/**
 * Two generations instead of a list in order of use: an entry that is used moves to the young
 * one; when that weighs half of `limit` it becomes the old one, and what was old is forgotten.
 * An entry that is replaced is weighed again, so the cache holds rather less than `limit`.
 */
export function createCache<K, V>(limit: number, weigh: (key: K, value: V) => number): Cache<K, V> {
  let young = new Map<K, V>();
  let old = new Map<K, V>();
  let weight = 0;
  const set = (key: K, value: V) => {
    young.set(key, value);
    weight += weigh(key, value);
    if (weight * 2 <= limit) return;
    old = young;
    young = new Map();
    weight = 0;
  };
  return {
    set,
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const aged = old.get(key);
      if (aged !== undefined) set(key, aged);
      return aged;
    },
    delete(key) {
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
