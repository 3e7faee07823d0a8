/** What the client tells observers (sdk-cli-console §4.6). */
export type CaracalEvent =
  | {
      readonly type: 'token.exchange'
      readonly resources: readonly string[]
      readonly scopes: readonly string[]
      readonly cached: boolean
      readonly ok: boolean
      readonly durationMs: number
      readonly status?: number | undefined
      readonly code?: string | undefined
    }
  | {
      readonly type: 'approval.wait'
      readonly approvalId: string
      readonly state: string
      readonly ok: boolean
      readonly durationMs: number
    }
  | {
      readonly type: 'coordinator.call'
      readonly method: string
      readonly path: string
      /** 0 when there was no response. */
      readonly status: number
      readonly ok: boolean
      readonly durationMs: number
      readonly replayed?: boolean | undefined
      readonly code?: string | undefined
      readonly requestId?: string | undefined
    }
  | {
      readonly type: 'delegation.accept'
      readonly delegationId: string
      readonly sessionId?: string | undefined
      readonly validated: boolean
      readonly ok: boolean
      readonly durationMs: number
    }

export type EventListener = (event: CaracalEvent) => void

export interface EventHub {
  emit(event: CaracalEvent): void
  on(listener: EventListener): () => void
}

/** Listeners cannot break the client: what they throw is ignored. */
export function createEventHub(): EventHub {
  const listeners = new Set<EventListener>()
  return {
    emit(event) {
      for (const listener of listeners) {
        try {
          listener(event)
        } catch {
          // An observer's failure is its own.
        }
      }
    },
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
