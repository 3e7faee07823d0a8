/**
 * The least that a governed call can be, as a program: the same requests, reads, rows, signature and upstream
 * call as the server's, on the same Postgres, each statement shared by what arrives meanwhile; and no policy, no check, no
 * chain, nothing of the error paths. What the server takes more than this is what it does more.
 */
import { createHash, generateKeyPairSync, randomUUID, sign, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import postgres from 'postgres'
import { Pool } from 'undici'

const { login, upstreamUrl } = JSON.parse(process.env.SKETCH ?? '{}') as {
  login: object
  upstreamUrl: string
}
const sql = postgres({ ...login, max: 4, onnotice: () => undefined })
const upstream = new Pool(upstreamUrl, { connections: 64, pipelining: 1 })
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const secretHash = createHash('sha256').update('secret').digest()

await sql`create table sketch_sessions (id text primary key, scopes text not null)`
await sql`
  create table sketch_records (id text primary key, session_id text not null, token text, until timestamptz not null)`
await sql`
  create table sketch_events (seq bigint generated always as identity primary key, stream text not null, payload jsonb not null)`
await sql`create unlogged table sketch_used (jti text primary key, until timestamptz not null)`
await sql`insert into sketch_sessions values ('one', 'inventory:read')`

/** Statements that may be on their way at once. */
const mostBatches = 2

/** Runs what is asked for within a turn, and while both batches are on their way, as one statement. */
function together<I, O>(run: (items: readonly I[]) => Promise<readonly O[]>): (item: I) => Promise<O> {
  let waiting: { item: I; keep: (answer: O) => void; give: (error: unknown) => void }[] = []
  let batches = 0
  let due = false
  const flush = (): void => {
    due = false
    if (waiting.length === 0 || batches === mostBatches) return
    const batch = waiting
    waiting = []
    batches += 1
    run(batch.map(({ item }) => item))
      .then(
        (answers) => {
          for (const [index, { keep }] of batch.entries()) keep(answers[index] as O)
        },
        (error: unknown) => {
          for (const { give } of batch) give(error)
        },
      )
      .finally(() => {
        batches -= 1
        flush()
      })
  }
  return (item) =>
    new Promise((keep, give) => {
      waiting.push({ item, keep, give })
      if (due) return
      due = true
      setImmediate(flush)
    })
}

const readSession = together(async (ids: readonly string[]) => {
  const rows = await sql<{ id: string; scopes: string; now: Date }[]>`
    select id, scopes, now() from sketch_sessions where id = any(${ids as string[]})`
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id))
})

interface Written {
  readonly record: string | null
  readonly event: object
}

const write = together(async (items: readonly Written[]) => {
  await sql`
    with record as (
      insert into sketch_records (id, session_id, until)
      select id, 'one', now() + interval '15 minutes' from unnest(${items.flatMap(({ record }) => record ?? [])}::text[]) as given(id)
    )
    insert into sketch_events (stream, payload)
    select 'audit', value::jsonb
    from unnest(${items.map(({ event }) => JSON.stringify(event))}::text[]) as given(value)`
  return items
})

const use = together(async (tokens: readonly string[]) => {
  const used = await sql<{ jti: string }[]>`
    insert into sketch_used select jti, now() + interval '15 minutes' from unnest(${tokens as string[]}::text[]) as given(jti)
    on conflict do nothing returning jti`
  const fresh = new Set(used.map(({ jti }) => jti))
  return tokens.map((jti) => fresh.has(jti))
})

/** As large as the evidence of the server. */
const filler = 'x'.repeat(600)
const evidence = (decision: string): object => ({
  id: randomUUID(),
  event_type: 'token_exchange',
  decision,
  occurred_at: new Date().toISOString(),
  filler,
})

async function mint(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  const form = new URLSearchParams(text)
  timingSafeEqual(
    createHash('sha256')
      .update(String(form.get('client_secret')))
      .digest(),
    secretHash,
  )
  const session = await readSession('one')
  if (session === undefined) throw new Error('no session')
  const jti = randomUUID()
  const claims = { jti, sub: form.get('application_id'), scope: session.scopes, aud: form.get('resource') }
  const signed = `${base64url({ alg: 'ES256', kid: 'one' })}.${base64url(claims)}`
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  await write({ record: jti, event: evidence('allow') })
  answer(response, 200, {
    access_token: `${signed}.${signature.toString('base64url')}`,
    token_type: 'Bearer',
  })
}

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

async function call(request: IncomingMessage, response: ServerResponse): Promise<void> {
  // Its signature is this process's own; what is left to know is whether it was used.
  const claims = String(request.headers.authorization).split('.')[1] ?? ''
  const { jti } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { jti: string }
  const [session, fresh] = await Promise.all([readSession('one'), use(jti)])
  if (session === undefined || !fresh) return answer(response, 403, { error: 'invalid_token' })
  await write({ record: randomUUID(), event: evidence('allow') })
  const { statusCode, body } = await upstream.request({ method: 'GET', path: String(request.url) })
  response.writeHead(statusCode, { 'content-type': 'application/json' })
  response.end(await body.text())
  await write({ record: null, event: evidence('completed') })
}

function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length })
  response.end(text)
}

process.once('SIGTERM', async () => {
  await sql`drop table sketch_sessions, sketch_records, sketch_events, sketch_used`
  process.exit()
})

const server = createServer((request, response) => {
  const work = request.url === '/oauth/2/token' ? mint : call
  // What fails after its answer fails because the sketch is being ended.
  work(request, response).catch((error: unknown) => {
    if (!response.headersSent) answer(response, 500, { error: String(error) })
  })
})
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
