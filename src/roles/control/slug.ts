/**
 * Names made from names: zone slugs and the identifiers of resources and
 * providers (control-api §7.4, §7.7, §7.9). A taken name gets `-2` … `-999`,
 * then a random suffix, so creation never loops without bound.
 */
import { randomBytes } from 'node:crypto'

/** Lower case, runs of anything but letters and digits become one hyphen; `fallback` when nothing is left. */
export function slugOf(name: string, fallback: string): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return slug === '' ? fallback : slug
}

/** The first free one of `base`, `base-2` … `base-999`, then `base-<random>`. `taken` holds every name that starts with `base`. */
export function firstFree(base: string, taken: ReadonlySet<string>): string {
  if (!taken.has(base)) return base
  for (let n = 2; n <= 999; n += 1) {
    const candidate = `${base}-${n}`
    if (!taken.has(candidate)) return candidate
  }
  return `${base}-${randomBytes(6).toString('hex')}`
}
