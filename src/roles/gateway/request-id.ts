import { uuidv4 } from '../../platform/ids.ts'

const acceptable = /^[\x21-\x7e]{1,128}$/

/** The inbound `X-Request-Id` when it is 1–128 visible ASCII characters, else a fresh UUIDv4 (gateway §2). */
export const requestIdOf = (inbound: string | string[] | undefined): string =>
  typeof inbound === 'string' && acceptable.test(inbound) ? inbound : uuidv4()
