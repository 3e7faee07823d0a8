/** A form endpoint: any other verb is 405 with `Allow`, before anything else is looked at (sts §1.3). */
import type { Context, Handler } from 'hono'
import { CaracalError } from '../../../platform/errors.ts'

export function postOnly(handle: (c: Context) => Promise<Response>): Handler {
  return (c) => {
    if (c.req.method !== 'POST') {
      throw new CaracalError('invalid_token', {
        status: 405,
        message: 'method must be POST',
        headers: { allow: 'POST' },
      })
    }
    return handle(c)
  }
}
