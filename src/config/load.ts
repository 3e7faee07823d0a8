/**
 * Environment → `Settings`. Every problem of the selected roles is collected and
 * reported in one `ConfigError`; nothing half-valid ever leaves this file
 * (storage-and-operations §10.1).
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Settings, variables } from './env.ts'
import { secretsDirectory } from './home.ts'
import { type Mode, type Situation, Unacceptable, type Variable } from './kinds.ts'
import { type RoleName, roleNames } from './roles.ts'
import { type GeneratedSecret, generatedSecrets, readOrCreateSecret } from './secrets.ts'

/** Variables by name, as in `process.env`. An empty value counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>

/** All that is wrong with the configuration; the message has one sentence for each problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.length === 1 ? `${problems[0]}` : `${problems.length} problems: ${problems.join('; ')}`)
    this.problems = problems
  }
}

export const defaultPorts: Readonly<Record<RoleName, number>> = {
  control: 3000,
  coordinator: 4000,
  sts: 8080,
  gateway: 8081,
  audit: 9090,
}

/** Thrown for a role that does not exist, so that the command line can show its usage. */
export class UnknownRole extends Error {
  override readonly name = 'UnknownRole'
}

/** `all` or a comma list; the order of the answer is the order of `roleNames`. */
export function parseRoles(text: string): RoleName[] {
  const wanted = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (wanted.length === 1 && wanted[0] === 'all') return [...roleNames]
  const unknown = wanted.find((name) => !(roleNames as readonly string[]).includes(name))
  if (unknown !== undefined || wanted.length === 0)
    throw new UnknownRole(
      `unknown role ${JSON.stringify(unknown ?? text)} in --role or CARACAL_ROLE: use all or a comma list of ${roleNames.join(', ')}`,
    )
  return roleNames.filter((name) => wanted.includes(name))
}

export interface LoadOptions {
  /** Roles of this process; `[]` for commands that only need the store. Default: `CARACAL_ROLE`, else all. */
  readonly roles?: readonly RoleName[]
  /** Variables to read although no role of this process asks for them. */
  readonly besides?: readonly (keyof Settings)[]
  /** Whether dev mode makes missing secrets (default) or leaves them unset. */
  readonly generateSecrets?: boolean
  /** Base of relative paths; default the working directory. */
  readonly cwd?: string
  /** Hears of values that are ignored. */
  readonly warn?: (message: string) => void
}

/** The effective settings of one process. Throws `ConfigError` or `UnknownRole`. */
export function loadSettings(env: Environment, options: LoadOptions = {}): Settings {
  const problems: string[] = []
  const table: Readonly<Record<string, Variable<unknown>>> = variables
  const lookup = reader(env, problems)
  const roles = options.roles ?? parseRoles(lookup('CARACAL_ROLE', variables.CARACAL_ROLE)?.text ?? 'all')

  const { dataDir, given, mode, embedded } = placeOf(env, roles, options.cwd, lookup)
  const singlePort = integerOrNull(env.CARACAL_SINGLE_PORT)
  const situation: Situation = {
    mode,
    roles,
    embedded,
    dataDir,
    port: (role) => singlePort ?? rolePort(env, role, roles),
    consolePort:
      singlePort ?? integerOrNull(env.CONSOLE_PORT) ?? integerOrNull(env.CARACAL_CONSOLE_PORT) ?? 3001,
    singlePort,
  }
  if (env.PORT && roles.length > 1)
    options.warn?.('PORT is ignored because several roles run; set <ROLE>_PORT')

  const generate =
    mode === 'dev' && options.generateSecrets !== false
      ? secretMaker(secretsDirectory(env, { dev: true, embedded, dataDir }), problems)
      : null

  const settings: Record<string, unknown> = {}
  for (const [name, variable] of Object.entries(table)) {
    const relevant =
      variable.roles === undefined ||
      variable.roles.some((role) => roles.includes(role)) ||
      options.besides?.some((one) => one === name) === true
    const found = relevant ? lookup(name, variable) : null
    if (found === null) {
      settings[name] = (relevant ? generate?.make(name) : null) ?? variable.initial(situation)
      if (
        relevant &&
        !generate?.broken &&
        settings[name] === null &&
        required(name, variable, situation, given)
      )
        problems.push(missing(name, mode))
      continue
    }
    if (found.text === null) {
      settings[name] = variable.initial(situation)
      continue
    }
    try {
      settings[name] = variable.parse(found.text)
    } catch (error) {
      if (!(error instanceof Unacceptable)) throw error
      problems.push(`${found.name} ${error.message}`)
      settings[name] = variable.initial(situation)
    }
  }
  settings.CARACAL_DATA_DIR = dataDir
  settings.CARACAL_ROLE = roles.length === 0 || roles.length === roleNames.length ? 'all' : roles.join(',')
  const loaded = settings as Settings
  refuseUnsafe(loaded, roles, problems)
  if (problems.length > 0) throw new ConfigError([...new Set(problems)])
  return Object.freeze(loaded)
}

/** What an environment says about the store, and what follows from it. */
export interface StorePlace {
  readonly mode: Mode
  /** A database of one's own is named. */
  readonly given: boolean
  readonly embedded: boolean
  readonly dataDir: string
}

/** As `loadSettings` sees it for these roles; no other variable is judged. */
export function storePlace(env: Environment, roles: readonly RoleName[], cwd?: string): StorePlace {
  return placeOf(env, roles, cwd, reader(env, []))
}

function placeOf(
  env: Environment,
  roles: readonly RoleName[],
  cwd: string | undefined,
  lookup: Lookup,
): StorePlace {
  const dataDir = resolve(cwd ?? process.cwd(), env.CARACAL_DATA_DIR || '.caracal')
  const store = lookup('DATABASE_URL', variables.DATABASE_URL)
  const everyRoleHasStore =
    roles.length > 0 && roles.every((role) => lookup(storeName(role), variables[storeName(role)]) !== null)
  const migrating =
    roles.length === 0 && lookup('MIGRATION_DATABASE_URL', variables.MIGRATION_DATABASE_URL) !== null
  const given = store !== null || everyRoleHasStore || migrating
  const asked = env.CARACAL_MODE?.toLowerCase() || null
  const mode: Mode =
    asked === 'dev' || asked === 'rc' || asked === 'stable' ? asked : given ? 'stable' : 'dev'
  return { mode, given, embedded: !given && mode === 'dev', dataDir }
}

/** The port of a role's own listener in a process of `roles`. */
export function rolePort(env: Environment, role: RoleName, roles: readonly RoleName[]): number {
  const alone = roles.length === 1 && roles[0] === role
  return (
    integerOrNull(env[`${role.toUpperCase()}_PORT`]) ??
    integerOrNull(env[`CARACAL_${role.toUpperCase()}_PORT`]) ??
    (alone ? integerOrNull(env.PORT) : null) ??
    defaultPorts[role]
  )
}

/** The value of a setting that the caller's role requires: loading has already refused its absence. */
export function requireSetting<Name extends keyof Settings>(
  settings: Settings,
  name: Name,
): NonNullable<Settings[Name]> {
  const value = settings[name]
  if (value === null || value === undefined) throw new ConfigError([`${name} is required`])
  return value
}

/** The roles of loaded settings. */
export function rolesOf(settings: Pick<Settings, 'CARACAL_ROLE'>): RoleName[] {
  return parseRoles(settings.CARACAL_ROLE)
}

/** The database of a role: its own URL or the common one; `null` is the embedded store. */
export function databaseUrl(settings: Settings, role: RoleName): string | null {
  return settings[storeName(role)] ?? settings.DATABASE_URL
}

/** Where this process's own secrets are kept, and the allowlist beside them. */
export function secretsDirectoryOf(settings: Settings, environment: Environment = process.env): string {
  const embedded = usesEmbeddedStore(settings, rolesOf(settings))
  const { CARACAL_HOME, CARACAL_SECRETS_DIR, CARACAL_DEV_SECRETS_DIR } = settings
  const named = { CARACAL_HOME, CARACAL_SECRETS_DIR, CARACAL_DEV_SECRETS_DIR }
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null))
  return secretsDirectory(
    { ...environment, ...(given as Environment) },
    { dev: settings.CARACAL_MODE === 'dev', embedded, dataDir: settings.CARACAL_DATA_DIR },
  )
}

/** True when this process keeps its store itself. */
export function usesEmbeddedStore(settings: Settings, roles: readonly RoleName[]): boolean {
  return roles.length === 0
    ? settings.DATABASE_URL === null && settings.MIGRATION_DATABASE_URL === null
    : roles.some((role) => databaseUrl(settings, role) === null)
}

function storeName(role: RoleName) {
  return `${role.toUpperCase() as Uppercase<RoleName>}_DATABASE_URL` as const
}

function integerOrNull(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null
}

function required(name: string, variable: Variable<unknown>, situation: Situation, given: boolean): boolean {
  if (name === 'DATABASE_URL' && given) return false
  return variable.required?.(situation) ?? false
}

function missing(name: string, mode: Mode): string {
  return `${name} is required in ${mode} mode`
}

/** Every name under which the variable called `name` can be given, a file of its value included. */
export function namesOf(name: string): readonly string[] {
  const table: Readonly<Record<string, Variable<unknown>>> = variables
  const found = Object.entries(table).find(([own, { aliases }]) => own === name || aliases.includes(name))
  const names = found === undefined ? [name] : [found[0], ...found[1].aliases]
  return names.flatMap((one) => [one, `${one}_FILE`])
}

interface Found {
  /** The name under which it was found. */
  readonly name: string
  /** `null`: it was given but cannot be read, and the problem is already told. */
  readonly text: string | null
}

type Lookup = (name: string, variable: Variable<unknown>) => Found | null

/** Name, aliases and `<NAME>_FILE` in their order of precedence; `null` = unset. */
function reader(env: Environment, problems: string[]): Lookup {
  return (name, variable) => {
    const names = variable.aliasFirst ? [...variable.aliases, name] : [name, ...variable.aliases]
    for (const one of names) {
      const text = env[one]
      if (text) return { name: one, text }
    }
    if (!variable.secret) return null
    const file = env[`${name}_FILE`]
    if (!file) return null
    try {
      const text = readFileSync(file, 'utf8').trimEnd()
      if (text !== '') return { name, text }
      problems.push(`${name}_FILE names an empty file`)
    } catch (error) {
      problems.push(`${name}_FILE cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
    }
    return { name, text: null }
  }
}

interface SecretMaker {
  /** The directory cannot be used; the problem is already told. */
  readonly broken: boolean
  make(name: string): string | null
}

function secretMaker(directory: string, problems: string[]): SecretMaker {
  let broken = false
  return {
    get broken() {
      return broken
    },
    make(name) {
      if (broken || !(name in generatedSecrets)) return null
      const { file, bytes } = generatedSecrets[name as GeneratedSecret]
      try {
        return readOrCreateSecret(directory, file, bytes)
      } catch (error) {
        broken = true
        problems.push(
          `CARACAL_DATA_DIR: secrets cannot be kept in ${directory} (${(error as NodeJS.ErrnoException).code ?? 'error'}); name a writable directory, or set CARACAL_SECRETS_DIR`,
        )
        return null
      }
    },
  }
}

/** Combinations that no single variable can judge. */
function refuseUnsafe(settings: Settings, roles: readonly RoleName[], problems: string[]): void {
  const published = settings.CARACAL_MODE !== 'dev'
  if (published)
    for (const name of ['INSECURE_STS', 'INSECURE_HTTP', 'JTI_FAIL_OPEN'] as const)
      if (settings[name]) problems.push(`${name} must not be true in ${settings.CARACAL_MODE} mode`)
  if (roles.includes('control')) {
    if (published && settings.CARACAL_CONTROL_ENABLED && settings.AUDIT_HMAC_KEY === null)
      problems.push(
        `AUDIT_HMAC_KEY is required in ${settings.CARACAL_MODE} mode with CARACAL_CONTROL_ENABLED`,
      )
    if ((settings.CARACAL_BOOTSTRAP_USERNAME === null) !== (settings.CARACAL_BOOTSTRAP_PASSWORD === null))
      problems.push('CARACAL_BOOTSTRAP_USERNAME and CARACAL_BOOTSTRAP_PASSWORD must be set together')
    if (settings.CARACAL_SMTP_URL !== null && settings.CARACAL_SMTP_FROM === null)
      problems.push('CARACAL_SMTP_FROM is required with CARACAL_SMTP_URL')
    refuseUnsafeSocialSignIn(settings, published, problems)
    if (settings.CARACAL_REQUIRE_SIGN_IN_METHOD && !canSignInByAccount(settings)) {
      const byPassword = published
        ? 'CARACAL_PASSWORD_SIGNUP and CARACAL_SMTP_URL'
        : 'CARACAL_PASSWORD_SIGNUP'
      problems.push(
        `CARACAL_REQUIRE_SIGN_IN_METHOD needs ${byPassword}, or GOOGLE_CLIENT_ID or GITHUB_CLIENT_ID`,
      )
    }
  }
  if (roles.includes('gateway')) refuseUnsafeGateway(settings, roles, published, problems)
}

/** Outside of mode dev an address is verified by mail before it signs in, or by who else vouches for it. */
function canSignInByAccount(settings: Settings): boolean {
  if (settings.GOOGLE_CLIENT_ID !== null || settings.GITHUB_CLIENT_ID !== null) return true
  return (
    settings.CARACAL_PASSWORD_SIGNUP &&
    (settings.CARACAL_MODE === 'dev' || settings.CARACAL_SMTP_URL !== null)
  )
}

/** The answer of a provider comes to the console's public URL, in the clear nowhere but on this machine. */
function refuseUnsafeSocialSignIn(settings: Settings, published: boolean, problems: string[]): void {
  for (const name of ['GOOGLE', 'GITHUB'] as const) {
    const id = settings[`${name}_CLIENT_ID`]
    if ((id === null) !== (settings[`${name}_CLIENT_SECRET`] === null))
      problems.push(`${name}_CLIENT_ID and ${name}_CLIENT_SECRET must be set together`)
    const url = settings.CARACAL_WEB_URL
    if (published && id !== null && url !== null && !isPrivateOnTheWay(url))
      problems.push(
        `CARACAL_WEB_URL must use https with ${name}_CLIENT_ID unless its host is loopback or a single label`,
      )
  }
}

function refuseUnsafeGateway(
  settings: Settings,
  roles: readonly RoleName[],
  published: boolean,
  problems: string[],
): void {
  if (settings.READ_TIMEOUT <= settings.STS_TIMEOUT + settings.UPSTREAM_TIMEOUT)
    problems.push('READ_TIMEOUT must be longer than STS_TIMEOUT and UPSTREAM_TIMEOUT together')
  if ((settings.TLS_CERT_FILE === null) !== (settings.TLS_KEY_FILE === null))
    problems.push('TLS_CERT_FILE and TLS_KEY_FILE must be set together')
  if (settings.GATEWAY_STS_TRANSPORT === 'inproc' && !roles.includes('sts'))
    problems.push('GATEWAY_STS_TRANSPORT=inproc needs role sts in the same process')
  if (settings.GATEWAY_STS_TRANSPORT === 'http' && settings.GATEWAY_STS_HMAC_KEY === null)
    problems.push('GATEWAY_STS_HMAC_KEY is required with GATEWAY_STS_TRANSPORT=http')
  if (settings.REVOCATION_STORE_WRITER && settings.REDIS_URL === null)
    problems.push('REVOCATION_STORE_WRITER needs REDIS_URL, where resource servers look')
  if (
    published &&
    !roles.includes('sts') &&
    settings.STS_URL !== null &&
    !isPrivateOnTheWay(settings.STS_URL)
  )
    problems.push('STS_URL must use https unless its host is loopback or a single label')
}

function isPrivateOnTheWay(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return (
    protocol === 'https:' ||
    !/[.:]/.test(hostname) ||
    hostname === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname)
  )
}
