/** Keeps the programs of the last patterns: policies match the same few patterns again and again. */
const MAX_REMEMBERED = 256

/** `make` must be pure; `undefined` is remembered too. `onMake` runs before each compilation. */
export function remembered<T>(
  make: (key: string) => T | undefined,
): (key: string, onMake: () => void) => T | undefined {
  const made = new Map<string, T | undefined>()
  return (key, onMake) => {
    const known = made.get(key)
    if (known !== undefined || made.has(key)) return known
    onMake()
    const value = make(key)
    if (made.size >= MAX_REMEMBERED) {
      const [oldest] = made.keys()
      if (oldest !== undefined) made.delete(oldest)
    }
    made.set(key, value)
    return value
  }
}
