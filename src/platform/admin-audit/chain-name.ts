/**
 * Names of administrative chains, for checkpoints, findings and advisory locks (hashed with `hashtextextended` and
 * seed 0); one name never stands for two chains.
 */

const prefix = 'admin-audit:'
const global = ':global'

/** `null` is the chain of records without a zone. A zone id that begins with a colon is told apart by a second one. */
export function adminChainName(zoneId: string | null): string {
  if (zoneId === null) return prefix + global
  return prefix + (zoneId.startsWith(':') ? `:${zoneId}` : zoneId)
}

/** The zone whose chain bears this name. */
export function zoneOfChain(name: string): string | null {
  const zone = name.slice(prefix.length)
  if (zone === global) return null
  return zone.startsWith('::') ? zone.slice(1) : zone
}
