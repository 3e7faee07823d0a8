/** Cookies that carry a secret; the browser's scripts never see it. */
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { Control } from '../control.ts'
import { isPublishedOverTls } from './headers.ts'

export interface SecretCookie {
  /** The secret the browser sent; `null` when it sent none that could be one. */
  read(c: Context): string | null
  write(c: Context, secret: string, seconds: number): void
  clear(c: Context): void
}

const secretPattern = /^[A-Za-z0-9_-]{43}$/

export const SESSION = 'caracal_session'
/** Of a sign-in that is under way at a provider. */
export const SOCIAL = 'caracal_sign_in'

export function createSecretCookie(control: Pick<Control, 'settings'>, plainName: string): SecretCookie {
  const secure = isPublishedOverTls(control) || control.settings.CARACAL_MODE !== 'dev'
  const name = secure ? `__Host-${plainName}` : plainName
  return {
    read(c) {
      const value = getCookie(c, name)
      return value !== undefined && secretPattern.test(value) ? value : null
    },
    write: (c, secret, seconds) =>
      setCookie(c, name, secret, { path: '/', httpOnly: true, sameSite: 'Lax', secure, maxAge: seconds }),
    clear: (c) => void deleteCookie(c, name, { path: '/', secure }),
  }
}
