/** Which time a ledger is shown for: a span before now, or between two instants. */

import { TimeField } from '../../ui/filters.tsx'
import { Select } from '../../ui/form.tsx'

const hour = 3_600_000
const spans: Readonly<Record<string, readonly [string, number]>> = {
  hour: ['Last hour', hour],
  day: ['Last 24 hours', 24 * hour],
  week: ['Last 7 days', 7 * 24 * hour],
  month: ['Last 30 days', 30 * 24 * hour],
}
const choices = [
  { value: '', label: 'Any time' },
  ...Object.entries(spans).map(([value, [label]]) => ({ value, label })),
  { value: 'between', label: 'Between …' },
]

export function TimeRange({ query }: { readonly query: URLSearchParams }) {
  return (
    <>
      <Select name="time" label="Time" value={query.get('time') ?? ''} choices={choices} />
      {query.get('time') === 'between' && (
        <>
          <TimeField name="from" label="From" value={query.get('from') ?? ''} />
          <TimeField name="to" label="To" value={query.get('to') ?? ''} />
        </>
      )}
    </>
  )
}

/** `since` and `until` as the server wants them. */
export function boundsOf(query: URLSearchParams, now = Date.now()): Record<'since' | 'until', string | null> {
  const time = query.get('time') ?? ''
  if (time === 'between') return { since: instant(query.get('from')), until: instant(query.get('to')) }
  const span = spans[time]
  return { since: span === undefined ? null : new Date(now - span[1]).toISOString(), until: null }
}

/** Of local time, as the browser's field writes it. */
function instant(local: string | null): string | null {
  if (local === null) return null
  const date = new Date(local)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
