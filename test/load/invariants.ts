/** What must be true when the traffic is over, asked of the stores from outside. */
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import postgres from 'postgres'
import type { Bus } from '../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../src/platform/bus/postgres.ts'
import { createRedisBus } from '../../src/platform/bus/redis.ts'
import { openDatabase } from '../../src/platform/db/client.ts'
import { runCaracal } from './run-caracal.ts'

export interface Invariant {
  readonly name: string
  readonly ok: boolean
  readonly said: string
}

export const invariant = (name: string, ok: boolean, said: string): Invariant => ({ name, ok, said })

export interface Stores {
  readonly redisUrl: string | null
  database(): postgres.Options<Record<string, postgres.PostgresType>>
  readonly commandEnv: Readonly<Record<string, string>>
}

const log = pino({ level: 'silent' })

/** What was seen from outside, by request id. */
export interface Seen {
  /** Answered 2xx by the STS or the gateway. */
  readonly granted: readonly string[]
  /** How often each call reached the upstream, whatever became of its answer. */
  readonly arrivals: ReadonlyMap<string, number>
  /** Calls that nothing may let through. */
  readonly forbidden: readonly string[]
}

/** Evidence, outbox and streams, waited for together; then the chain. */
export async function judgeStores(stores: Stores, seen: Seen, drainMs: number): Promise<Invariant[]> {
  const { granted, arrivals, forbidden } = seen
  const proven = [...new Set([...granted, ...arrivals.keys()])]
  const twice = [...arrivals].filter(([, count]) => count > 1)
  const leaked = forbidden.filter((id) => arrivals.has(id))
  const sql = postgres(stores.database())
  const closing: AsyncDisposable[] = []
  try {
    const bus = await openBus(stores, closing)
    const began = performance.now()
    let left = await whatIsLeft(sql, bus, proven)
    const last: Record<string, number> = {}
    while (!left.nothing && performance.now() - began < drainMs) {
      for (const what of left.waiting) last[what] = Math.round(performance.now() - began)
      await sleep(100)
      left = await whatIsLeft(sql, bus, proven)
    }
    const ms = Math.round(performance.now() - began)
    const chain = await verifyChains(stores)
    return [
      invariant(
        'evidence',
        left.unproven.length === 0,
        `${granted.length} requests answered 2xx, ${arrivals.size} calls at the upstream, ${left.unproven.length} without evidence ${left.unproven.slice(0, 3).join(' ')}`,
      ),
      invariant(
        'upstream',
        arrivals.size > 0 && twice.length === 0 && leaked.length === 0,
        `${twice.length} calls reached it twice ${JSON.stringify(twice.slice(0, 3))}; of ${forbidden.length} that must not, ${leaked.length} did ${leaked.slice(0, 3).join(' ')}`,
      ),
      invariant('chain', chain.ok, chain.said),
      invariant(
        'drained',
        left.outbox === 0 && left.dead === 0 && left.unread.length === 0 && left.deadLetters === 0,
        `${left.outbox} outbox rows pending, ${left.dead} dead; unread streams [${left.unread.join('; ')}], ${left.deadLetters} dead letters; after ${ms} ms ${JSON.stringify(last)}`,
      ),
    ]
  } finally {
    for (const one of closing.reverse()) await one[Symbol.asyncDispose]()
    await sql.end({ timeout: 1 })
  }
}

async function whatIsLeft(sql: postgres.Sql, bus: Bus, proven: readonly string[]) {
  const [outbox] = await sql<{ pending: number; dead: number }[]>`
    select count(*) filter (where status = 'pending')::int as pending,
           count(*) filter (where status = 'dead')::int as dead
    from caracal_outbox`
  const unproven = await sql<{ id: string }[]>`
    select asked.id from unnest(${proven}::text[]) as asked(id)
    where not exists (select from audit_events where request_id = asked.id)`
  const unread: string[] = []
  const revoke = 'caracal.sessions.revoke'
  const gateways = (await bus.groups(revoke)).filter((group) => group.startsWith('gateway-revocation:'))
  if (gateways.length === 0) unread.push(`${revoke}: no gateway reads it`)
  for (const [stream, group] of [
    ['caracal.audit.events', 'audit-ingestor'],
    ...gateways.map((group) => [revoke, group] as const),
  ] as const) {
    const { pending, undelivered } = await bus.group(stream, group).stats()
    if (pending + undelivered > 0) unread.push(`${stream}: ${pending} pending, ${undelivered} undelivered`)
  }
  let deadLetters = 0
  for (const stream of ['caracal.audit.events.dlq', 'caracal.sessions.revoke.dead'])
    deadLetters += await bus.length(stream)
  const left = {
    outbox: outbox?.pending ?? 0,
    dead: outbox?.dead ?? 0,
    unread,
    deadLetters,
    unproven: unproven.map(({ id }) => id),
  }
  const waiting = [
    ...(left.outbox > 0 ? ['outbox'] : []),
    ...left.unread.map((line) => line.split(':')[0] ?? ''),
    ...(left.unproven.length > 0 ? ['evidence'] : []),
  ]
  return { ...left, waiting, nothing: waiting.length === 0 }
}

/** The bus of a deployment as one of its processes would open it; `closing` gets what has to be closed. */
export async function openBus(
  stores: Pick<Stores, 'redisUrl' | 'database'>,
  closing: AsyncDisposable[],
): Promise<Bus> {
  let bus: Bus
  if (stores.redisUrl !== null) {
    const settings = { REDIS_DIAL_TIMEOUT: 5000, REDIS_READ_TIMEOUT: 3000 }
    bus = createRedisBus({ url: stores.redisUrl, log, settings })
  } else {
    const { host, port, user, password, database } = stores.database() as Record<string, string>
    const db = await openDatabase({
      connection: {
        host: host ?? '',
        port: Number(port),
        user: user ?? '',
        password: password ?? '',
        database: database ?? '',
      },
      applicationName: 'caracal-load',
      settings: {
        CARACAL_MODE: 'dev',
        CARACAL_DB_ALLOW_BYPASSRLS: true,
        DB_POOL_MAX: 4,
        DB_STATEMENT_TIMEOUT_MS: 30_000,
        DB_IDLE_IN_TX_TIMEOUT_MS: 30_000,
        DB_CONNECTION_TIMEOUT_MS: 5000,
        DB_IDLE_TIMEOUT_MS: 30_000,
      },
      log,
    })
    closing.push(db)
    bus = createPostgresBus({ db, log })
  }
  closing.push(bus)
  return bus
}

async function verifyChains({ commandEnv }: Stores): Promise<{ ok: boolean; said: string }> {
  const { code, stdout, stderr } = await runCaracal(['audit', 'verify', '--json'], commandEnv)
  try {
    const report = JSON.parse(stdout) as { ok: boolean; checked: number; findings_total: number }
    return { ok: code === 0 && report.ok, said: `${report.checked} links, ${report.findings_total} findings` }
  } catch {
    return { ok: false, said: `caracal audit verify ended with ${code}: ${stderr.slice(0, 300)}` }
  }
}
