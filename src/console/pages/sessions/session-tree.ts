import type { Session } from './shapes.ts'

export interface Placed {
  readonly session: Session
  /** Steps below the root of its tree, as far as that is shown. */
  readonly level: number
}

/** Children follow their parent. A session whose parent is not among them begins a tree of its own. */
export function treeOf(sessions: readonly Session[]): Placed[] {
  const known = new Set(sessions.map(({ id }) => id))
  const below = new Map<string | null, Session[]>()
  for (const session of sessions) {
    const parent = session.parent_id !== null && known.has(session.parent_id) ? session.parent_id : null
    below.set(parent, [...(below.get(parent) ?? []), session])
  }
  const place = (parent: string | null, level: number): Placed[] =>
    (below.get(parent) ?? []).flatMap((session) => [{ session, level }, ...place(session.id, level + 1)])
  return place(null, 0)
}
