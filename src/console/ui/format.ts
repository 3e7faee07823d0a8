/** Instants and lists as people read them. */

const units: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** "3 minutes ago", "in 2 days"; a date when it is over a month away. */
export function ago(at: string, now = Date.now()): string {
  const distance = Date.parse(at) - now
  if (Number.isNaN(distance)) return at
  if (Math.abs(distance) > 30 * 86_400_000)
    return new Date(at).toLocaleDateString('en', { dateStyle: 'medium' })
  for (const [unit, ms] of units)
    if (Math.abs(distance) >= ms) return relative.format(Math.round(distance / ms), unit)
  return 'now'
}

export function moment(at: string): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? at : `${date.toLocaleString('en')} (${date.toISOString()})`
}

/** Words separated by spaces, commas or lines. */
export function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

/** "1 session", "2 sessions". */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`
