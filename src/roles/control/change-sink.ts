/** Creating and changing notification sinks (control-api §7.17). The signing secret is shown once and sealed. */
import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import { EgressError } from '../../platform/egress/guarded-fetch.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, writing } from './control.ts'
import { isLoopback } from './deliver-notifications.ts'
import { found, noFields, notFound } from './not-found.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import {
  countSinks,
  deleteSink,
  insertSink,
  replaceSinkSecret,
  type Sink,
  updateSink,
} from './store/sinks.ts'
import { lockZone } from './store/zones.ts'

type AnyCall = Call<unknown, unknown>

export const sinkEvents = ['step_up_issued', 'step_up_decided', 'step_up_consumed'] as const

const MAX_PER_ZONE = 20

export interface SinkWithSecret extends Sink {
  readonly secret: string
}

/** https without credentials to a public address; http only to this machine. Throws 400 `invalid_sink_url`. */
function checkUrl(control: Control, text: string): void {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw errorOf('invalid_sink_url')
  }
  if (url.username !== '' || url.password !== '') throw errorOf('invalid_sink_url')
  if (isLoopback(text) && (url.protocol === 'http:' || url.protocol === 'https:')) return
  if (url.protocol !== 'https:') throw errorOf('invalid_sink_url')
  if (isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0) return
  try {
    control.egress.checkUrl(url)
  } catch (error) {
    if (error instanceof EgressError) throw errorOf('invalid_sink_url')
    throw error
  }
}

function newSecret(control: Control): { readonly secret: string; readonly sealed: Buffer } {
  if (control.cipher === null) throw errorOf('service_unconfigured')
  const secret = `nsk_${randomBytes(24).toString('hex')}`
  return { secret, sealed: control.cipher.seal(Buffer.from(secret), columnAad.notificationSinkSecret) }
}

export async function createSink(
  control: Control,
  call: AnyCall,
  input: { readonly name: string; readonly url: string; readonly event_types: readonly string[] },
): Promise<SinkWithSecret> {
  checkUrl(control, input.url)
  const { secret, sealed } = newSecret(control)
  const row = await writing(control, call, async (tx) => {
    // The zone row serialises creations, so the limit holds under concurrency.
    found(await lockZone(tx, call.zoneId), 'zone_not_found')
    if ((await countSinks(tx, call.zoneId)) >= MAX_PER_ZONE) throw errorOf('sink_limit_reached')
    return insertSink(tx, {
      id: uuidv7(),
      zoneId: call.zoneId,
      name: input.name,
      url: input.url,
      eventTypes: [...new Set(input.event_types)],
      secret: sealed,
    })
  })
  return { ...row, secret }
}

export async function changeSink(
  control: Control,
  call: AnyCall,
  patch: {
    readonly name?: string | undefined
    readonly url?: string | undefined
    readonly event_types?: readonly string[] | undefined
    readonly active?: boolean | undefined
  },
): Promise<Sink> {
  if (isEmptyPatch({ ...patch })) throw noFields()
  if (patch.url !== undefined) checkUrl(control, patch.url)
  const eventTypes = patch.event_types === undefined ? undefined : [...new Set(patch.event_types)]
  const row = await writing(control, call, (tx) =>
    updateSink(tx, call.zoneId, call.id, {
      name: patch.name,
      url: patch.url,
      eventTypes,
      active: patch.active,
    }),
  )
  return found(row, 'sink_not_found')
}

export async function rotateSinkSecret(control: Control, call: AnyCall): Promise<SinkWithSecret> {
  const { secret, sealed } = newSecret(control)
  const row = await writing(control, call, (tx) => replaceSinkSecret(tx, call.zoneId, call.id, sealed))
  return { ...found(row, 'sink_not_found'), secret }
}

export async function removeSink(control: Control, call: AnyCall): Promise<void> {
  await writing(control, call, async (tx) => {
    if (!(await deleteSink(tx, call.zoneId, call.id))) throw notFound('sink_not_found')
  })
}
