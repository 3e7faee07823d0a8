/**
 * The gateway's memory of what is revoked (gateway §8.1): three kinds of anchor,
 * each id with the instant it may be forgotten. Checks are map lookups; a running
 * request watches its anchors and is told in the same tick in which one of them is
 * marked, however idle its stream is.
 *
 * A snapshot replaces the set; marks that arrived while it was being read survive it.
 */

export interface Anchors {
  /** Authority records: claims `sid` and `root_sid`, stream fields `session_id`, `sid`, `root_sid`. */
  readonly records: readonly string[]
  readonly sessions: readonly string[]
  readonly delegations: readonly string[]
}

/** A running request's interest in its anchors; `end` must be called once it is over. */
export interface Watch {
  end(): void
}

export interface Revocations {
  /** Marks anchors at once and cuts what runs under them. Never waits. */
  mark(anchors: Partial<Anchors>): void
  /** Cuts running streams of a session without marking it (suspension). */
  cutSession(agentSessionId: string): void
}

export interface RevocationSet extends Revocations {
  isRevoked(anchors: Anchors): boolean
  /** `onRevoked` is called at most once. */
  watch(anchors: Anchors, onRevoked: () => void): Watch
  /** Counts marks; sampled before a snapshot's queries. */
  readonly marks: number
  /** Installs a snapshot whose queries began when `marks` was `marksBefore`. */
  replace(snapshot: Anchors, marksBefore: number): void
  /** Drops expired entries. */
  prune(): void
  readonly size: number
  /** Running requests that watch at least one anchor. */
  readonly watching: number
}

const entryLifeMs = 24 * 60 * 60 * 1000

type Kind = keyof Anchors
const kinds: readonly Kind[] = ['records', 'sessions', 'delegations']

interface Watcher extends Watch {
  readonly anchors: Anchors
  fire(): void
}

export function createRevocationSet(now: () => number = Date.now): RevocationSet {
  let revoked: Record<Kind, Map<string, number>> = {
    records: new Map(),
    sessions: new Map(),
    delegations: new Map(),
  }
  const watchers: Record<Kind, Map<string, Set<Watcher>>> = {
    records: new Map(),
    sessions: new Map(),
    delegations: new Map(),
  }
  let marks = 0
  let watching = 0

  const notify = (kind: Kind, id: string): void => {
    const interested = watchers[kind].get(id)
    if (interested === undefined) return
    for (const watcher of [...interested]) watcher.fire()
  }

  const holds = (kind: Kind, id: string): boolean => {
    const until = revoked[kind].get(id)
    return until !== undefined && until > now()
  }

  const isRevoked = (anchors: Anchors): boolean =>
    kinds.some((kind) => anchors[kind].some((id) => holds(kind, id)))

  return {
    isRevoked,
    get marks() {
      return marks
    },
    get size() {
      return kinds.reduce((sum, kind) => sum + revoked[kind].size, 0)
    },
    get watching() {
      return watching
    },
    mark(anchors) {
      marks += 1
      const until = now() + entryLifeMs
      for (const kind of kinds) {
        for (const id of anchors[kind] ?? []) {
          if (id === '') continue
          revoked[kind].set(id, until)
          notify(kind, id)
        }
      }
    },
    cutSession(agentSessionId) {
      notify('sessions', agentSessionId)
    },
    watch(anchors, onRevoked) {
      let ended = false
      const watcher: Watcher = {
        anchors,
        fire() {
          if (ended) return
          watcher.end()
          onRevoked()
        },
        end() {
          if (ended) return
          ended = true
          watching -= 1
          for (const kind of kinds) {
            for (const id of anchors[kind]) {
              const interested = watchers[kind].get(id)
              interested?.delete(watcher)
              if (interested?.size === 0) watchers[kind].delete(id)
            }
          }
        },
      }
      watching += 1
      for (const kind of kinds) {
        for (const id of anchors[kind]) {
          const interested = watchers[kind].get(id)
          if (interested === undefined) watchers[kind].set(id, new Set([watcher]))
          else interested.add(watcher)
        }
      }
      return watcher
    },
    replace(snapshot, marksBefore) {
      const until = now() + entryLifeMs
      const keep = marks !== marksBefore
      const before = revoked
      const fresh = (kind: Kind): Map<string, number> => {
        const next = new Map<string, number>()
        for (const id of snapshot[kind]) next.set(id, until)
        if (keep) for (const [id, expiry] of before[kind]) if (expiry > now()) next.set(id, expiry)
        return next
      }
      revoked = { records: fresh('records'), sessions: fresh('sessions'), delegations: fresh('delegations') }
      // A revocation whose event was lost must still end what runs under it.
      for (const kind of kinds) {
        for (const id of [...watchers[kind].keys()]) if (holds(kind, id)) notify(kind, id)
      }
    },
    prune() {
      const instant = now()
      for (const kind of kinds) {
        for (const [id, until] of revoked[kind]) if (until <= instant) revoked[kind].delete(id)
      }
    },
  }
}
