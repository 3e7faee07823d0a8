/** Headers of every answer of the console (sdk-cli-console §13.1), and those of its pages. */
import type { Control } from '../control.ts'
import { isApiPath, isConsolePath } from './paths.ts'

type Headers = Readonly<Record<string, string>>

/** Of documents: nothing from elsewhere, no inline script, no frame around it. */
export const pagePolicy: Headers = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
}

/** Whether browsers reach the console over TLS, as far as the settings tell. */
export function isPublishedOverTls({ settings }: Pick<Control, 'settings'>): boolean {
  return settings.CARACAL_WEB_URL?.startsWith('https:') === true
}

export function securityHeaders(control: Pick<Control, 'settings'>): Headers {
  return {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    ...(isPublishedOverTls(control) ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  }
}

/** The headers by path; `null` where the console does not answer. What its API says is kept nowhere. */
export function consoleHeaders(control: Pick<Control, 'settings'>): (path: string) => Headers | null {
  const everywhere = securityHeaders(control)
  const ofApi = { ...everywhere, 'cache-control': 'no-store' }
  return (path) => {
    if (!isConsolePath(path)) return null
    return isApiPath(path) ? ofApi : everywhere
  }
}
