/** The key that signs login tokens (control-api §12.3, storage-and-operations §9): rotated on demand, with an overlap. */
import { type Control, writing } from './control.ts'
import { iamInvalidated } from './events.ts'
import type { Call } from './route.ts'

/**
 * Signs with a new key from now on. Tokens of the keys before verify until they expire, or stop at once
 * when `immediate`, for a key that may be known to others. Throws 503 `service_unconfigured` without a KEK.
 */
export async function rotateLoginKey(
  control: Control,
  call: Call<unknown, unknown>,
  immediate: boolean,
): Promise<{ readonly rotated: true; readonly kid: string }> {
  const { kid } = await writing(control, call, async (tx) => {
    const rotated = await control.tokens.rotate(tx, immediate)
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(null, call.requestId)])
    return rotated
  })
  control.tokens.forget()
  return { rotated: true, kid }
}
