/** A notification sink as the server tells it, and how to say it. */
import type { Tone } from '../../ui/basics.tsx'
import { eventTypes as eventNames } from '../audit/event.ts'

export interface Sink {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly event_types: readonly string[]
  readonly active: boolean
  readonly consecutive_failures: number
  readonly last_success_at: string | null
  readonly last_failure_at: string | null
  readonly last_error: string | null
  readonly created_at: string
  readonly updated_at: string
}

export type NewSecret = Sink & { readonly secret: string }

/** What a sink can be told of. */
export const sinkEvents = ['step_up_issued', 'step_up_decided', 'step_up_consumed'] as const

export const eventName = (type: string): string => eventNames[type] ?? type

export function stateOf({ active, consecutive_failures: failures, last_success_at }: Sink): {
  readonly tone: Tone
  readonly text: string
} {
  if (!active) return { tone: 'idle', text: 'paused' }
  if (failures > 0) return { tone: 'bad', text: 'failing' }
  if (last_success_at === null) return { tone: 'info', text: 'waiting' }
  return { tone: 'ok', text: 'delivering' }
}
