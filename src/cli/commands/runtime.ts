/** The commands that run something on behalf of an agent, or show it. */
import type { Command } from '../command.ts'

const demo: Command = {
  name: 'demo',
  group: 'RUNTIME',
  summary: 'one governed call end to end, told step by step',
  synopsis: '[--keep]',
  details: [
    '--keep             leave the server up afterwards and print what an SDK needs',
    '',
    'Starts everything on an embedded store in a temporary directory and protects a real',
    'HTTP server with it. Exit 0 only if every expectation held.',
    '',
    'Example: caracal demo --keep',
  ],
  flags: { keep: 'switch' },
  load: async () => (await import('../demo/run.ts')).demo,
}

const run: Command = {
  name: 'run',
  group: 'RUNTIME',
  summary: 'start a program with the credentials of its workload',
  synopsis: '[--] <command> [arguments]',
  details: [
    'Asks the STS for the workload\u2019s bindings and starts the command with one variable for each,',
    'and <NAME>_EXPIRES_AT where a credential expires. Nothing else of Caracal reaches the command.',
    '',
    'CARACAL_WORKLOAD_ID           required',
    'CARACAL_WORKLOAD_SECRET       or CARACAL_WORKLOAD_SECRET_FILE (readable by its owner only)',
    'CARACAL_STS_URL               default http://localhost:8080 in development',
    '',
    'Exit code of the command; 127 when it cannot start; 1 for anything before that.',
    '',
    'Example: CARACAL_WORKLOAD_ID=\u2026 CARACAL_WORKLOAD_SECRET_FILE=secret caracal run -- python agent.py',
  ],
  flags: {},
  verbatim: true,
  load: async () => (await import('../run/run.ts')).run,
}

const web: Command = {
  name: 'web',
  group: 'RUNTIME',
  summary: 'print where to look at the server, and open a browser there',
  synopsis: '',
  details: [
    'The console where the server has one, else the reference of its API.',
    'Addresses: CARACAL_WEB_URL and CARACAL_API_URL, else localhost. Opens a browser on a terminal only.',
    '',
    '--web-port, --auth-port and --build are accepted with a warning: the server serves the pages itself.',
    '',
    'Example: caracal up && caracal web',
  ],
  flags: { 'web-port': 'text', 'auth-port': 'text', build: 'switch' },
  load: async () => (await import('../web.ts')).web,
}

export const runtimeCommands: readonly Command[] = [demo, run, web]
