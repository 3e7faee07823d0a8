/**
 * The pages of the console (sdk-cli-console §13.1). A path without an extension is a place inside the app and
 * gets the app; one with an extension is a file, which is there or is not.
 */
import type { Context } from 'hono'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { headerOf } from '../../../platform/http/incoming.ts'
import type { Control } from '../control.ts'
import type { BuiltApp, BuiltFile } from './built-app.ts'
import { pagePolicy, securityHeaders } from './headers.ts'
import { isPlain, sentPath } from './paths.ts'

const FOREVER = 'public, max-age=31536000, immutable'

/** Whether an encoding is among those that `Accept-Encoding` names and does not forbid. */
function accepts(header: string, encoding: string): boolean {
  return header.split(',').some((entry) => {
    const [name, ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase())
    return name === encoding && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
  })
}

function chosen(
  file: BuiltFile,
  header: string,
): { readonly bytes: Buffer; readonly encoding: string | null } {
  if (file.br !== null && accepts(header, 'br')) return { bytes: file.br, encoding: 'br' }
  if (file.gz !== null && accepts(header, 'gzip')) return { bytes: file.gz, encoding: 'gzip' }
  return { bytes: file.plain, encoding: null }
}

/** The name of the file that a path means: itself without the mount, `index.html` for a place inside the app. */
function nameOf(path: string): string {
  const below = path.replace(/^\/console(?=\/|$)/, '').slice(1)
  return below.slice(below.lastIndexOf('/') + 1).includes('.') ? below : 'index.html'
}

/** Answers a page or a file of the app. Throws 404; without an app, a page is a sentence that says so. */
export function createPages(control: Pick<Control, 'settings'>, app: BuiltApp): (c: Context) => Response {
  const everywhere = securityHeaders(control)
  return (c) => {
    for (const [name, value] of Object.entries(everywhere)) c.header(name, value)
    const path = c.req.path
    if (!isPlain(sentPath(c))) throw errorOf('not_found')
    const name = nameOf(path)
    const isDocument = name === 'index.html'
    if (isDocument && path.startsWith('/assets')) throw errorOf('not_found')
    if (app === null && isDocument) return c.text('The web console is not part of this build.', 503)
    const file = app?.get(name)
    if (file === undefined) throw errorOf('not_found')
    const { bytes, encoding } = chosen(file, headerOf(c, 'accept-encoding') ?? '')
    return c.body(new Uint8Array(bytes), 200, {
      'content-type': file.type,
      'cache-control': file.hashed ? FOREVER : 'no-cache',
      ...(isDocument ? pagePolicy : {}),
      ...(file.br === null && file.gz === null ? {} : { vary: 'accept-encoding' }),
      ...(encoding === null ? {} : { 'content-encoding': encoding }),
    })
  }
}
