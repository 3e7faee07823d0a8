/** Which server a person talks to, and with which token (sdk-cli-console §12.10). */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { caracalHome, secretsDirectory } from '../../config/home.ts'
import type { Environment } from '../../config/load.ts'
import { generatedSecrets } from '../../config/secrets.ts'
import { configDirectory } from '../../sdk/config/directory.ts'
import { readPrivateFile, readSecretFile } from '../../sdk/config/private-file.ts'
import { jsonObject, textMember } from '../../sdk/read-body.ts'
import { localAddress, serverAddress } from '../server-address.ts'

export interface Login {
  readonly server: string
  readonly token: string
  readonly kind: 'admin_token' | 'jwt'
  readonly expires_at?: string
}

export const loginPath = (env: Environment): string => join(configDirectory(env), 'auth.json')

/** The saved login; null when there is none. Throws when others can read it or it is broken. */
function readLogin(env: Environment): Login | null {
  const path = loginPath(env)
  if (!existsSync(path)) return null
  const body = jsonObject(readPrivateFile(path, path))
  const server = textMember(body?.server)
  const token = textMember(body?.token)
  if (server === undefined || token === undefined)
    throw new Error(`${path} is broken: run caracal auth login`)
  const expiresAt = textMember(body?.expires_at)
  return {
    server,
    token,
    kind: body?.kind === 'jwt' ? 'jwt' : 'admin_token',
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
  }
}

/** The saved login where it can be used. */
export function usableLogin(env: Environment): Login | null {
  try {
    return readLogin(env)
  } catch {
    return null
  }
}

export function saveLogin(env: Environment, login: Login): void {
  const path = loginPath(env)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, `${JSON.stringify(login)}\n`, { mode: 0o600 })
  renameSync(fresh, path)
}

export function removeLogin(env: Environment): boolean {
  const present = existsSync(loginPath(env))
  rmSync(loginPath(env), { force: true })
  return present
}

export interface Access {
  readonly server: string
  readonly token: string
  /** Where the token is from, for messages. */
  readonly source: string
}

/** Environment, saved login, then the secret that the server on this host made; null without any. */
export function findAccess(env: Environment, cwd: string): Access | null {
  const given = givenToken(env)
  // Beside a token that was given, the saved login only says where the server is.
  const login = given === null ? readLogin(env) : usableLogin(env)
  const server = serverAddress(env, 'CARACAL_API_URL', login?.server ?? localAddress('control', env))
  if (given !== null) return { server, ...given }
  // The saved token belongs to the server it was saved for, and goes nowhere else.
  if (login !== null && login.server === server) return { server, token: login.token, source: loginPath(env) }
  const managed = managedSecret(env, cwd)
  return managed !== null && isThisHost(server) ? { server, ...managed } : null
}

function givenToken(env: Environment): Omit<Access, 'server'> | null {
  const { CARACAL_ADMIN_TOKEN: token, CARACAL_ADMIN_TOKEN_FILE: file } = env
  if (token) return { token, source: 'CARACAL_ADMIN_TOKEN' }
  const source = 'CARACAL_ADMIN_TOKEN_FILE'
  return file ? { token: readSecretFile(file, source), source } : null
}

function managedSecret(env: Environment, cwd: string): Omit<Access, 'server'> | null {
  const dataDir = resolve(cwd, env.CARACAL_DATA_DIR || '.caracal')
  const directories = [
    secretsDirectory(env, { dev: true, embedded: true, dataDir }),
    join(caracalHome(env), 'data', 'secrets'),
    secretsDirectory(env, { dev: true, embedded: false, dataDir }),
    secretsDirectory(env, { dev: false, embedded: false, dataDir }),
  ]
  for (const directory of directories) {
    const path = join(directory, generatedSecrets.CARACAL_ADMIN_TOKEN.file)
    if (existsSync(path)) return { token: readFileSync(path, 'utf8').trim(), source: path }
  }
  return null
}

function isThisHost(server: string): boolean {
  const { hostname } = new URL(server)
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}
