import type { FullAuditEvent } from './event.ts'

export interface RequestGroup {
  readonly id: string
  /** Newest first, at least one. */
  readonly events: readonly FullAuditEvent[]
  readonly newest: FullAuditEvent
  readonly decision: string | null
}

/** In the order of their newest events. An event without a request is one of its own. */
export function groupByRequest(events: readonly FullAuditEvent[]): RequestGroup[] {
  const groups = new Map<string, FullAuditEvent[]>()
  for (const event of events) {
    const id = event.request_id ?? event.id
    groups.set(id, [...(groups.get(id) ?? []), event])
  }
  return [...groups].flatMap(([id, own]) => {
    const [newest] = own
    if (newest === undefined) return []
    const denied = own.some(({ decision }) => decision === 'deny')
    return [{ id, events: own, newest, decision: denied ? 'deny' : newest.decision }]
  })
}
