/** The commands that run a server and look after it. */
import type { Command } from '../command.ts'

const up: Command = {
  name: 'up',
  group: 'STACK',
  summary: 'start the server in the background and wait until it is ready',
  synopsis: '[--with-deps]',
  details: [
    '--with-deps        Postgres and Redis in containers instead of the embedded store (needs Docker);',
    '                   remembered until caracal down -v',
    '',
    'All roles, as caracal serve. Process id, log and the embedded store are kept below CARACAL_HOME',
    '(such as ~/.local/share/caracal). With DATABASE_URL it migrates first.',
    '',
    'Example: caracal up && caracal status',
  ],
  flags: { 'with-deps': 'switch' },
  load: async () => (await import('../background/up.ts')).up,
}

const down: Command = {
  name: 'down',
  group: 'STACK',
  summary: 'end the server in the background',
  synopsis: '[-v]',
  details: [
    '-v, --volumes      remove the volumes of up --with-deps too: everything in them is gone',
    '',
    'Waits SHUTDOWN_GRACE_MS for its clean end. Data stays, but for -v.',
    '',
    'Example: caracal down',
  ],
  flags: { v: 'switch', volumes: 'switch' },
  load: async () => (await import('../background/down.ts')).down,
}

const upgrade: Command = {
  name: 'upgrade',
  group: 'STACK',
  summary: 'let this release take over from the one in the background',
  synopsis: '[--no-pull]',
  details: [
    '--no-pull          accepted for compatibility: nothing is ever pulled here',
    '',
    'Brings the schema to this release while the old server runs, then restarts it and waits until it is',
    'ready. When the schema cannot follow, the old server goes on. Starts one when none runs.',
    '',
    'Example: npm install -g caracal@latest && caracal upgrade',
  ],
  flags: { 'no-pull': 'switch' },
  load: async () => (await import('../background/upgrade.ts')).upgrade,
}

const logs: Command = {
  name: 'logs',
  group: 'STACK',
  summary: 'show the log of the server in the background',
  synopsis: '[-f] [--lines n] [--role r]',
  details: [
    '-f                 go on as lines are written',
    '--lines N          how many to begin with (100)',
    '--role ROLE        only lines of this role',
    '',
    'Example: caracal logs -f --role gateway',
  ],
  flags: { f: 'switch', lines: 'text', role: 'text' },
  offers: { flags: { role: ['sts', 'gateway', 'coordinator', 'audit', 'control'] } },
  load: async () => (await import('../background/logs.ts')).logs,
}

const purge: Command = {
  name: 'purge',
  group: 'STACK',
  summary: 'remove chosen state of the server',
  synopsis: '[targets] [--safe] [--dry-run] [--yes]',
  details: [
    'stack              end it',
    'logs               empty its log',
    'config             SDK profile, credentials of guided setup, login, history of the shell',
    'runtime            process id and environment file',
    'web                accounts and sessions of the console (destructive)',
    'volumes            the embedded store, or the tables of Caracal in DATABASE_URL; and its keys in',
    '                   REDIS_URL (destructive)',
    'secrets            generated secrets; what they sealed becomes unreadable (destructive)',
    'all, safe          everything; everything that is not destructive',
    '',
    '--safe             as the target safe',
    '--dry-run          say what would happen',
    '--yes, -y          do not ask',
    '',
    'Example: caracal purge safe --dry-run',
  ],
  takes: Number.POSITIVE_INFINITY,
  flags: { safe: 'switch', 'dry-run': 'switch', yes: 'switch', y: 'switch' },
  offers: { words: ['all', 'safe', 'stack', 'logs', 'config', 'runtime', 'web', 'volumes', 'secrets'] },
  load: async () => (await import('../purge/purge.ts')).purge,
}

export const allowlist: Command = {
  name: 'allowlist',
  group: 'STACK',
  summary: 'say who may use the console',
  synopsis: 'add|remove|lock|unlock <e-mail or @domain> | list [--json]',
  details: [
    'add                admit, also after remove',
    'remove             no longer admit, and forget the account',
    'lock, unlock       shut out for a while, and let back in',
    'list               who is on the list (--json: machine output)',
    '',
    'An e-mail address goes before its @domain. Once anybody is on the list, nobody else is admitted. A',
    'running server follows at once. The list is operatorAllowlist.json below the allowlist directory in',
    'the secrets directory of the server on this host (CARACAL_SECRETS_DIR).',
    '',
    'Example: caracal allowlist add @example.com',
  ],
  flags: { json: 'switch' },
  subcommands: {
    add: { takes: 1, flags: [] },
    remove: { takes: 1, flags: [] },
    lock: { takes: 1, flags: [] },
    unlock: { takes: 1, flags: [] },
    list: { flags: ['json'] },
  },
  load: async () => (await import('../allowlist.ts')).allowlist,
}

const secrets: Command = {
  name: 'secrets',
  group: 'STACK',
  summary: 'move sealed secrets under a new key',
  synopsis: 'reseal [--dry-run] [--json] | migrate <backend> [--json]',
  details: [
    'reseal             seal everything under SECRET_STORE_KEK that SECRET_STORE_KEK_PREVIOUS still seals',
    '  --dry-run        open everything, change nothing',
    'migrate BACKEND    copy sealed secrets to another backend; this release has builtin only',
    '--json             machine output',
    '',
    'To change the key: give every server the new SECRET_STORE_KEK and the old one as',
    'SECRET_STORE_KEK_PREVIOUS, run reseal with the same two (servers may run meanwhile), and take the old',
    'one away once it ended with 0. Uses MIGRATION_DATABASE_URL, else DATABASE_URL, else the embedded store.',
    '',
    'Example: caracal secrets reseal --dry-run',
  ],
  flags: { 'dry-run': 'switch', json: 'switch' },
  subcommands: {
    reseal: { flags: ['dry-run', 'json'] },
    migrate: { takes: 1, flags: ['json'] },
  },
  load: async () => (await import('../secrets/run.ts')).secrets,
}

const serve: Command = {
  name: 'serve',
  group: 'STACK',
  summary: 'run the server: all roles, or some of them',
  synopsis:
    '[--role all|sts,gateway,coordinator,audit,control] [--port n] [--port-<role> n] [--single-port n] [--workers n|auto]',
  details: [
    '--role LIST        roles of this process (CARACAL_ROLE; default all)',
    '--port N           port when exactly one role runs (PORT)',
    '--port-ROLE N      port of a role: control, console, coordinator, sts, gateway, audit',
    '--single-port N    one port for all of them; the gateway is below /gateway (CARACAL_SINGLE_PORT)',
    '--workers N        processes that share the ports, auto = one for each core (CARACAL_WORKERS; default 1)',
    '',
    'Without DATABASE_URL it starts a Postgres of its own below CARACAL_DATA_DIR (.caracal)',
    'and generates its secrets there; without REDIS_URL Postgres carries the events too.',
    '',
    'Example: caracal serve --single-port 8000 --workers auto',
  ],
  flags: {
    role: 'text',
    port: 'text',
    'port-control': 'text',
    'port-console': 'text',
    'port-coordinator': 'text',
    'port-sts': 'text',
    'port-gateway': 'text',
    'port-audit': 'text',
    'single-port': 'text',
    workers: 'text',
  },
  offers: {
    flags: { workers: ['auto'], role: ['all', 'sts', 'gateway', 'coordinator', 'audit', 'control'] },
  },
  load: async () => (await import('../serve.ts')).serve,
}

const migrate: Command = {
  name: 'migrate',
  group: 'STACK',
  summary: 'bring the database schema to this release',
  synopsis: '[--status] [--json] [--switch-bus]',
  details: [
    '--status           list applied and pending migrations and change nothing (exit 3 when pending)',
    '--json             machine output',
    '--switch-bus       record the drivers that REDIS_URL asks for; nothing else may run',
    '',
    'Uses MIGRATION_DATABASE_URL, else DATABASE_URL, else the embedded store.',
    '',
    'Example: DATABASE_URL=postgres://… caracal migrate',
  ],
  flags: { status: 'switch', json: 'switch', 'switch-bus': 'switch' },
  load: async () => (await import('../migrate.ts')).migrate,
}

const status: Command = {
  name: 'status',
  group: 'STACK',
  summary: 'ask every role for its health',
  synopsis: '[--ready] [--json] [--role LIST]',
  details: [
    '--ready            ask whether they take traffic instead of whether they live',
    '--json             machine output',
    '--role LIST        only these roles',
    '',
    'Addresses: CARACAL_API_URL, CARACAL_STS_URL, CARACAL_GATEWAY_URL, CARACAL_AUDIT_URL,',
    'CARACAL_COORDINATOR_URL, else localhost and the port of each role. Exit 1 unless all pass.',
    '',
    'Example: caracal status --ready --role sts,gateway',
  ],
  flags: { ready: 'switch', json: 'switch', role: 'text' },
  offers: { flags: { role: ['all', 'sts', 'gateway', 'coordinator', 'audit', 'control'] } },
  load: async () => (await import('../status.ts')).status,
}

const healthcheck: Command = {
  name: 'healthcheck',
  group: 'STACK',
  summary: 'container probe: exit 0 when this process is ready',
  synopsis: '',
  details: [
    'Asks http://HEALTH_HOST:PORT HEALTH_PATH (127.0.0.1, /ready) within HEALTH_TIMEOUT_MS (2000);',
    'without PORT, or with several roles in CARACAL_ROLE, the port of every role, and without CARACAL_ROLE',
    'those of them where somebody listens. A gateway with TLS_CERT_FILE is asked over TLS.',
    '',
    'Example: HEALTHCHECK CMD caracal healthcheck',
  ],
  flags: {},
  load: async () => (await import('../healthcheck.ts')).healthcheck,
}

const version: Command = {
  name: 'version',
  group: 'STACK',
  summary: 'print version and mode',
  synopsis: '[--json]',
  details: ['--json             one line of JSON', '', 'Example: caracal version --json'],
  flags: { json: 'switch' },
  load: async () => (await import('../version.ts')).version,
}

export const stackCommands: readonly Command[] = [
  up,
  down,
  upgrade,
  logs,
  purge,
  allowlist,
  secrets,
  serve,
  migrate,
  status,
  healthcheck,
  version,
]
