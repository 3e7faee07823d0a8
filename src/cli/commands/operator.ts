/** The commands that manage a server that runs. */
import type { Command } from '../command.ts'

const audit: Command = {
  name: 'audit',
  group: 'OPERATOR',
  summary: 'verify the ledger, or a receipt of one event',
  synopsis: 'verify [--zone ID] [--since ISO] [--json] | verify-receipt FILE [--keys FILE] [--json]',
  details: [
    'verify             recompute every chain of events and of administrative records (exit 1 on a finding)',
    '  --zone ID        only the chains of this zone (exit 1 when it has none)',
    '  --since ISO      from the first event that occurred at or after this instant',
    'verify-receipt     check a receipt offline, without any server (exit 1 when it does not hold)',
    '  --keys FILE      the zone’s key set as published; without it the key in the receipt is shown',
    '--json             machine output',
    '',
    'verify uses DATABASE_URL (or the embedded store) and AUDIT_HMAC_KEY.',
    '',
    'Example: caracal audit verify --since 2026-01-01T00:00:00Z',
  ],
  flags: { zone: 'text', since: 'text', keys: 'text', json: 'switch' },
  subcommands: {
    verify: { flags: ['zone', 'since', 'json'] },
    'verify-receipt': { takes: 1, flags: ['keys', 'json'] },
  },
  load: async () => (await import('../audit/run.ts')).audit,
}

const shell: Command = {
  name: 'shell',
  group: 'OPERATOR',
  summary: 'the API by hand, with completion',
  synopsis: '',
  details: [
    'Lines: /api [METHOD] <path> [json], /zone [id or slug], /status, /whoami, /login, /logout, /help, /quit.',
    'Tab completes commands, methods, paths and zones. From a pipe it runs line by line and ends',
    'with 1 at the first that fails.',
    '',
    'Example: echo "/api zones" | caracal shell',
  ],
  flags: {},
  load: async () => (await import('../api/shell.ts')).shell,
}

const auth: Command = {
  name: 'auth',
  group: 'OPERATOR',
  summary: 'log in to a server, and see as whom',
  synopsis: 'login [--server URL] [--token - | --user NAME [--password-stdin]] | status [--json] | logout',
  details: [
    '--server URL       default CARACAL_API_URL, else localhost and the port of control',
    '--token -          read the admin token from stdin instead of a prompt',
    '--user NAME        log in as a service account, with a password from a prompt',
    '--password-stdin   read that password from stdin',
    '--json             machine output of status',
    '',
    'Tokens are looked for in CARACAL_ADMIN_TOKEN, CARACAL_ADMIN_TOKEN_FILE, the saved login, and the',
    'secrets of a server on this host.',
    '',
    'Example: caracal auth login --token - < admin-token',
  ],
  flags: { server: 'text', token: 'text', user: 'text', 'password-stdin': 'switch', json: 'switch' },
  subcommands: {
    login: { flags: ['server', 'token', 'user', 'password-stdin'] },
    status: { flags: ['json'] },
    logout: { flags: [] },
  },
  load: async () => (await import('../api/auth.ts')).auth,
}

const api: Command = {
  name: 'api',
  group: 'OPERATOR',
  summary: 'one authenticated request of the API, for scripts',
  synopsis: '[METHOD] <path> [json|@file|-]',
  details: [
    'A path without a leading / is of /v1. The body of the answer goes to stdout, its status to stderr.',
    'Exit 0 for 2xx, 1 for any other answer, 2 when the server cannot be reached.',
    '',
    'Example: caracal api POST zones \'{"name":"Acme"}\'',
  ],
  flags: {},
  verbatim: true,
  offers: { words: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] },
  load: async () => (await import('../api/api.ts')).api,
}

const completion: Command = {
  name: 'completion',
  group: 'OPERATOR',
  summary: 'print a completion script for a shell',
  synopsis: 'bash|zsh|fish|powershell',
  details: ['Example: source <(caracal completion bash)'],
  takes: 1,
  flags: {},
  offers: { words: ['bash', 'zsh', 'fish', 'powershell'] },
  load: async () => (await import('../completion.ts')).completion,
}

export const operatorCommands: readonly Command[] = [audit, shell, auth, api, completion]
