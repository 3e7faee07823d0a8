import type { Tone } from '../../ui/basics.tsx'
import { ago } from '../../ui/format.ts'
import type { Application } from '../definitions/shapes.ts'

export const typeOf = ({ registration_method }: Application): string =>
  registration_method === 'managed' ? 'Managed' : 'Registered itself'

/** Whether the application's secret still opens anything. */
export function credentialOf({ archived_at, expires_at }: Application): {
  readonly tone: Tone
  readonly text: string
} {
  if (archived_at !== null) return { tone: 'idle', text: 'archived' }
  if (expires_at === null) return { tone: 'ok', text: 'valid' }
  const over = Date.parse(expires_at) <= Date.now()
  return over ? { tone: 'bad', text: 'expired' } : { tone: 'warn', text: `expires ${ago(expires_at)}` }
}
