/** `caracal auth login|status|logout` (sdk-cli-console §12.10). */
import { readFileSync } from 'node:fs'
import { jsonObject, readText, textMember } from '../../sdk/read-body.ts'
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'
import { localAddress } from '../server-address.ts'
import { askHidden } from './ask-hidden.ts'
import { findAccess, type Login, loginPath, removeLogin, saveLogin, usableLogin } from './login-file.ts'

/** Asks for a secret; `piped`: a flag said that it comes from stdin. */
export type AskSecret = (prompt: string, piped: boolean) => Promise<string>

export async function auth(invocation: Invocation, ask: AskSecret = askHere): Promise<number> {
  const [what] = invocation.arguments.positional
  if (what === 'login') return login(invocation, ask)
  if (what === 'status') return status(invocation)
  if (what === 'logout') return logout(invocation)
  throw new UsageError('auth takes login, status or logout')
}

/** Nothing is saved unless the server knows the token. */
async function login(
  { arguments: { values, switches }, env, out }: Invocation,
  ask: AskSecret,
): Promise<number> {
  const server = (values.server ?? (env.CARACAL_API_URL || localAddress('control', env))).replace(/\/+$/, '')
  if (!URL.canParse(server)) throw new UsageError('--server is not a URL')
  if (values.token !== undefined && values.token !== '-')
    throw new UsageError('--token takes - only: a token in the arguments can be read by every process')
  const fresh: Login =
    values.user === undefined
      ? { server, token: await secretFrom(ask, 'Admin token: ', values.token === '-'), kind: 'admin_token' }
      : await passwordLogin(
          server,
          values.user,
          await secretFrom(ask, 'Password: ', switches.has('password-stdin')),
        )
  const known = await whoAmI(server, fresh.token)
  if (known.outcome !== 'valid') {
    out.status('fail', sentence(known, server))
    return 1
  }
  saveLogin(env, fresh)
  out.status('ok', `logged in to ${server} as ${known.name}`)
  return 0
}

async function status({ arguments: { switches }, env, cwd, out }: Invocation): Promise<number> {
  const access = findAccess(env, cwd)
  if (access === null) {
    if (switches.has('json')) out.line(JSON.stringify({ status: 'missing' }))
    else out.status('fail', 'not logged in: run caracal auth login')
    return 1
  }
  const known = await whoAmI(access.server, access.token)
  if (switches.has('json')) {
    const { server, source } = access
    out.line(JSON.stringify({ status: known.outcome, server, source, name: known.name ?? null }))
  } else if (known.outcome === 'valid')
    out.status('ok', `${access.server} as ${known.name} (${access.source})`)
  else out.status('fail', sentence(known, access.server))
  return known.outcome === 'valid' ? 0 : 1
}

async function logout({ env, out }: Invocation): Promise<number> {
  const saved = usableLogin(env)
  if (saved?.kind === 'jwt')
    await fetch(`${saved.server}/v1/auth/logout`, {
      method: 'POST',
      headers: { authorization: `Bearer ${saved.token}` },
      signal: AbortSignal.timeout(5000),
    }).catch(() => undefined)
  out.status('ok', removeLogin(env) ? `${loginPath(env)} is removed` : 'there was no login')
  return 0
}

interface WhoAmI {
  readonly outcome: 'valid' | 'invalid' | 'unreachable'
  readonly status?: number
  readonly name?: string
}

/** Whom the server takes the bearer of `token` for. */
export async function whoAmI(server: string, token: string): Promise<WhoAmI> {
  let response: Response
  let text: string
  try {
    response = await fetch(`${server}/v1/auth/me`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000),
    })
    text = await readText(response, 1024 * 1024)
  } catch {
    return { outcome: 'unreachable' }
  }
  const { ok, status } = response
  if (!ok) return { outcome: status === 401 || status === 403 ? 'invalid' : 'unreachable', status }
  const principal = jsonObject(text)?.principal as Readonly<Record<string, unknown>> | undefined
  return { outcome: 'valid', name: textMember(principal?.name) ?? textMember(principal?.id) ?? 'operator' }
}

function sentence(known: WhoAmI, server: string): string {
  if (known.status === undefined) return `${server} cannot be reached`
  return known.outcome === 'invalid'
    ? `${server} does not accept this token (${known.status})`
    : `${server} does not say whom it takes the token for (${known.status})`
}

async function passwordLogin(server: string, username: string, password: string): Promise<Login> {
  let response: Response
  try {
    response = await fetch(`${server}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000),
    })
  } catch {
    throw new Error(`${server} cannot be reached`)
  }
  const body = jsonObject(await readText(response, 1024 * 1024))
  const token = textMember(body?.access_token)
  if (!response.ok || token === undefined)
    throw new Error(`${server} refuses the login (${textMember(body?.error) ?? response.status})`)
  const seconds = typeof body?.expires_in === 'number' ? body.expires_in : 3600
  return { server, token, kind: 'jwt', expires_at: new Date(Date.now() + seconds * 1000).toISOString() }
}

async function secretFrom(ask: AskSecret, prompt: string, piped: boolean): Promise<string> {
  const secret = (await ask(prompt, piped)).trim()
  if (secret === '') throw new UsageError('nothing was given')
  return secret
}

/** From stdin when asked to or when nobody sits there; else a prompt that shows nothing. */
async function askHere(prompt: string, piped: boolean): Promise<string> {
  return piped || !process.stdin.isTTY ? readFileSync(0, 'utf8') : askHidden(prompt)
}
