/**
 * Consumers of the revocation and delegation streams (sdk-cli-console §9.4): an entry is
 * acknowledged after its effect, and one that cannot be understood goes to the dead letters.
 * They block their connection: give each its own.
 */
import { type RedisClient, type RedisCommand, redisCommand } from './redis-commands.ts'
import type { RevocationStore } from './revocation-store.ts'
import { verifyStreamEntry } from './stream-signature.ts'

export interface RedisConsumerOptions {
  readonly client: RedisClient
  readonly store: RevocationStore
  /** Name of this process within the group. */
  readonly consumer: string
  readonly stream?: string | undefined
  readonly group?: string | undefined
  /** Default 50. */
  readonly batchSize?: number | undefined
  /** Default 5000; 0 waits for ever. */
  readonly blockMs?: number | undefined
  /** Entries another consumer took and did not finish for so long are taken over. Default 30 000. */
  readonly pendingIdleMs?: number | undefined
  /** Hex, as STREAMS_HMAC_KEY. */
  readonly streamHmacKey?: string | undefined
  /** Default: whether there is a key. */
  readonly requireSignature?: boolean | undefined
  /** Default 10 000. */
  readonly deadLetterMaxLength?: number | undefined
  /** Hears of failures while `run` goes on. */
  readonly onError?: ((error: unknown) => void) | undefined
}

export interface RedisConsumer {
  /** Creates the group at the stream's beginning; an existing one is fine. */
  ensureGroup(): Promise<void>
  /** Handles what is pending and one batch of new entries; answers how many. */
  pollOnce(): Promise<number>
  /** Polls until `signal` aborts; failures are reported and tried again. */
  run(signal: AbortSignal): Promise<void>
}

type Fields = Readonly<Record<string, string>>

/** Takes effect, or answers why the entry is poison. */
type Handle = (fields: Fields, store: RevocationStore) => Promise<string | null>

export function createRevocationConsumer(options: RedisConsumerOptions): RedisConsumer {
  return createConsumer(options, {
    stream: 'caracal.sessions.revoke',
    group: 'resource-revocation',
    async handle(fields, store) {
      const names = ['session_id', 'sid', 'root_sid', 'agent_session_id', 'delegation_edge_id']
      const anchors = names.map((name) => fields[name]).filter((id) => id !== undefined && id !== '')
      if (anchors.length === 0) return 'missing_revocation_anchor'
      for (const id of anchors) await store.markRevoked(id ?? '')
      return null
    },
  })
}

export function createDelegationEpochConsumer(options: RedisConsumerOptions): RedisConsumer {
  return createConsumer(options, {
    stream: 'caracal.delegations.invalidate',
    group: 'resource-delegation-invalidation',
    async handle(fields, store) {
      const epoch = /^\d+$/.test(fields.epoch ?? '') ? Number(fields.epoch) : Number.NaN
      if (!fields.zone_id || !Number.isSafeInteger(epoch)) return 'invalid_delegation_epoch'
      await store.markDelegationEpoch?.(fields.zone_id, epoch)
      return null
    },
  })
}

function createConsumer(
  options: RedisConsumerOptions,
  kind: { readonly stream: string; readonly group: string; readonly handle: Handle },
): RedisConsumer {
  const command = redisCommand(options.client)
  const stream = options.stream ?? kind.stream
  const group = options.group ?? kind.group
  const { consumer, streamHmacKey: key } = options
  const signed = options.requireSignature ?? key !== undefined
  if (signed && key === undefined) throw new TypeError('requireSignature needs streamHmacKey')
  const batch = String(options.batchSize ?? 50)
  const blockMs = String(options.blockMs ?? 5000)
  const idle = String(options.pendingIdleMs ?? 30_000)
  const maxDead = String(options.deadLetterMaxLength ?? 10_000)

  async function handleEntry([id, fields]: Entry): Promise<void> {
    const genuine = !signed || (key !== undefined && verifyStreamEntry(key, stream, fields))
    const reason = genuine ? await kind.handle(fields, options.store) : 'invalid_signature'
    if (reason !== null) await bury(command, `${stream}.dead`, maxDead, { id, reason, fields })
    await command('XACK', stream, group, id)
  }

  async function drainPending(): Promise<number> {
    let from = '0-0'
    let handled = 0
    do {
      const reply = await command('XAUTOCLAIM', stream, group, consumer, idle, from, 'COUNT', batch)
      const [next, entries] = Array.isArray(reply) ? reply : ['0-0', []]
      for (const entry of entriesOf(entries)) await handleEntry(entry)
      handled += entriesOf(entries).length
      from = String(next)
    } while (from !== '0-0')
    return handled
  }

  const one: RedisConsumer = {
    async ensureGroup() {
      try {
        await command('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
      } catch (error) {
        if (!String(error).includes('BUSYGROUP')) throw error
      }
    },
    async pollOnce() {
      const pending = await drainPending()
      const read = ['GROUP', group, consumer, 'COUNT', batch, 'BLOCK', blockMs, 'STREAMS', stream, '>']
      const entries = streamEntries(await command('XREADGROUP', ...read))
      for (const entry of entries) await handleEntry(entry)
      return pending + entries.length
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          await one.ensureGroup()
          while (!signal.aborted) await one.pollOnce()
        } catch (error) {
          if (signal.aborted) return
          options.onError?.(error)
          await new Promise((resolve) => setTimeout(resolve, 1000))
        }
      }
    },
  }
  return one
}

async function bury(
  command: RedisCommand,
  stream: string,
  maxLength: string,
  dead: { readonly id: string; readonly reason: string; readonly fields: Fields },
): Promise<void> {
  const fields = ['source_id', dead.id, 'reason', dead.reason, 'payload', JSON.stringify(dead.fields)]
  await command('XADD', stream, 'MAXLEN', '~', maxLength, '*', ...fields)
}

type Entry = readonly [id: string, fields: Fields]

/** Replies of RESP2 (a list of pairs) and RESP3 (maps, which ioredis lays out as one flat list) alike. */
function streamEntries(reply: unknown): Entry[] {
  if (reply instanceof Map) return [...reply.values()].flatMap(entriesOf)
  if (Array.isArray(reply)) {
    const lists = Array.isArray(reply[0])
      ? reply.map((pair: unknown) => (Array.isArray(pair) ? pair[1] : undefined))
      : reply.filter((_, at) => at % 2 === 1)
    return lists.flatMap(entriesOf)
  }
  if (typeof reply === 'object' && reply !== null) return Object.values(reply).flatMap(entriesOf)
  return []
}

function entriesOf(list: unknown): Entry[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((entry: unknown): Entry[] => {
    // XAUTOCLAIM of old servers names deleted entries with a null body.
    if (!Array.isArray(entry) || entry[1] === null) return []
    return [[String(entry[0]), fieldsOf(entry[1])]]
  })
}

function fieldsOf(body: unknown): Fields {
  if (body instanceof Map)
    return Object.fromEntries([...body].map(([name, value]) => [String(name), String(value)]))
  if (!Array.isArray(body)) return body as Fields
  const fields: Record<string, string> = {}
  for (let at = 0; at + 1 < body.length; at += 2) fields[String(body[at])] = String(body[at + 1])
  return fields
}
