/** What a management path is about (audit-and-events §8.1). */
import { idPattern } from '../ids.ts'

export interface EntityRef {
  readonly type: string | null
  readonly id: string | null
}

export interface EntityRules {
  /** Collection segments whose next segment is an id. */
  readonly collections: ReadonlySet<string>
  /** Segments that follow a collection and are a route of their own, not an id (`dcr`, `validate`). */
  readonly pseudoIds?: ReadonlySet<string>
}

function segmentsOf(path: string): string[] {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => {
      try {
        return decodeURIComponent(segment)
      } catch {
        return segment
      }
    })
}

/** The right-most `<collection>/<id>` pair; for a create, the collection at the end and the returned id. */
export function entityOf(path: string, createdId: string | null, rules: EntityRules): EntityRef {
  const segments = segmentsOf(path)
  for (let at = segments.length - 1; at >= 0; at--) {
    const type = segments[at] as string
    if (!rules.collections.has(type)) continue
    const next = segments[at + 1]
    // What has not the form of an id is not one; the path tells what it was.
    if (next !== undefined && !rules.pseudoIds?.has(next))
      return { type, id: idPattern.test(next) ? next : null }
    if (createdId !== null) return { type, id: createdId }
  }
  return { type: null, id: null }
}

/** The segment after the entity's id (`rotate-secret`, `approve`), if the path ends in one. */
export function actionSegment(path: string, rules: EntityRules): string | null {
  const segments = segmentsOf(path)
  for (let at = segments.length - 1; at >= 0; at--) {
    if (!rules.collections.has(segments[at] as string)) continue
    return at + 2 < segments.length ? (segments.at(-1) as string) : null
  }
  return null
}
