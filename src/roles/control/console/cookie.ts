/** The cookie that carries a session's secret; the browser's scripts never see it. */
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { Control } from '../control.ts'
import { isPublishedOverTls } from './headers.ts'

export interface SessionCookie {
  /** The secret the browser sent; `null` when it sent none that could be one. */
  read(c: Context): string | null
  write(c: Context, secret: string, seconds: number): void
  clear(c: Context): void
}

const secretPattern = /^[A-Za-z0-9_-]{43}$/

export function createSessionCookie(control: Pick<Control, 'settings'>): SessionCookie {
  const secure = isPublishedOverTls(control) || control.settings.CARACAL_MODE !== 'dev'
  const name = secure ? '__Host-caracal_session' : 'caracal_session'
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
