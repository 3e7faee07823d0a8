/**
 * Lists stay flat: a page of a hundred rows from a zone with a million rows takes no more than twice
 * what it takes from a zone with a thousand, with filters and deep into the list. Both zones lie in
 * one store and are asked in turns, so whatever disturbs the machine disturbs both.
 */
import { pino } from 'pino'
import postgres from 'postgres'
import { startEmbeddedPostgres } from '../../src/platform/embedded/start.ts'
import { quantile } from './closed-loop.ts'
import { type FilledTable, fillZone, rareRows, rowId } from './filled-zone.ts'
import { type ServerUnderLoad, startServerUnderLoad } from './server.ts'

interface ListMeasured {
  readonly list: string
  /** Milliseconds, of the small and of the large zone. */
  readonly small: { readonly p50: number; readonly p95: number }
  readonly large: { readonly p50: number; readonly p95: number }
  readonly ratio: number
  readonly error?: string
}

const smallRows = 1000
/** Of the 95th percentiles. */
const greatestRatio = 2
const pagesDeep = 5
const samples = 60
/** A list that is far from flat must not hold up the rest. */
const secondsPerList = 10
/** Sixty pages of a few milliseconds are at the mercy of whatever else the machine does. */
const attempts = 3

/** Of a list: what comes after `/v1/zones/{zone}/`, or after the coordinator's `/zones/{zone}/`. */
interface List {
  readonly at: 'control' | 'coordinator'
  readonly path: (zone: string) => string
}

const control = (path: string | ((zone: string) => string)): List => ({
  at: 'control',
  path: typeof path === 'string' ? () => path : path,
})
const coordinator = (path: string): List => ({ at: 'coordinator', path: () => path })

const lists: Readonly<Record<string, List>> = {
  applications: control('applications'),
  'applications archived': control('applications?status=archived'),
  workloads: control('workloads'),
  providers: control('providers'),
  resources: control('resources'),
  policies: control('policies'),
  'policy sets': control('policy-sets'),
  grants: control('grants'),
  'grants of an application': control('grants?application_id=rare'),
  'grants of a busy application': control('grants?application_id=busy'),
  'grants of a user': control('grants?user_id=rare'),
  'grants of a resource': control((zone) => `grants?resource_id=${rowId(zone, 'resource', 7)}`),
  'grants revoked': control('grants?status=revoked'),
  connections: control('provider-connections'),
  'connections of a subject': control('provider-connections?subject_id=rare'),
  'connections of a provider': control('provider-connections?provider_id=rare'),
  'service accounts': control('service-accounts'),
  'service accounts inactive': control('service-accounts?status=inactive'),
  'API keys': control('api-keys'),
  'API keys of an account': control('api-keys?service_account_id=rare'),
  roles: control('roles'),
  'role bindings': control('role-bindings'),
  'role bindings of a subject': control('role-bindings?subject_id=rare'),
  approvals: control('approvals'),
  'approvals pending': control('approvals?state=pending'),
  'approvals of a principal': control('approvals?principal=rare'),
  'approvals of a tier': control('approvals?tier=rare'),
  'authority records': control('authority-records'),
  'authority records active': control('authority-records?status=active'),
  'authority records of a subject': control('authority-records?subject_id=rare'),
  'authority records of a busy subject': control('authority-records?subject_id=busy'),
  'authority records of users': control('authority-records?kind=user'),
  sessions: control('sessions'),
  'sessions active': control('sessions?status=active'),
  'sessions of an application': control('sessions?application_id=rare'),
  'sessions of a busy application': control('sessions?application_id=busy'),
  'sessions of a parent': control('sessions?parent_session_id=rare'),
  'sessions of a subject': control('sessions?subject_id=rare'),
  'sessions with a label': control('sessions?label=rare'),
  'sessions with a common label': control('sessions?label=all'),
  'admin audit': control('admin-audit'),
  'admin audit of an actor': control('admin-audit?actor_id=rare'),
  'admin audit of an entity': control('admin-audit?entity_id=rare'),
  'admin audit by method': control('admin-audit?method=PATCH'),
  'admin audit in a window': control('admin-audit?since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z'),
  audit: control('audit'),
  'audit of a request': control((zone) => `audit?request_id=${zone}-17`),
  'audit denials': control('audit?decision=deny'),
  'audit of a type': control('audit?event_type=approval'),
  'audit of an application': control('audit?application_id=rare'),
  'audit of a busy application': control('audit?application_id=busy'),
  'audit of a session': control((zone) => `audit?session_id=${zone}rare`),
  'audit of an authority record': control((zone) => `audit?authority_record_id=${zone}rare`),
  'audit with a label': control('audit?label=rare'),
  'audit with a common label': control('audit?label=all'),
  'audit in a window': control('audit?since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z'),
  subjects: control('subjects'),
  'coordinator sessions': coordinator('agents'),
  'coordinator sessions active': coordinator('agents?status=active'),
  'coordinator sessions of an application': coordinator('agents?application_id=rare'),
  'coordinator sessions of a busy application': coordinator('agents?application_id=busy'),
  'coordinator sessions with a label': coordinator('agents?label=rare'),
  'coordinator delegations': coordinator('delegations'),
  'coordinator delegations active': coordinator('delegations?status=active'),
  'coordinator delegations of a session': coordinator('delegations?source_session_id=rare'),
  'coordinator invocations': coordinator('invocations'),
  'coordinator invocations pending': coordinator('invocations?status=pending'),
  'coordinator invocations of a session': coordinator('invocations?session_id=rare'),
}

/** What a route reads, by the first part of its path. */
const readBy: Readonly<Record<string, readonly FilledTable[]>> = {
  applications: ['applications'],
  workloads: ['workloads'],
  providers: ['providers'],
  resources: ['resources', 'providers'],
  policies: ['policies'],
  'policy-sets': ['policy_sets'],
  grants: ['delegated_grants', 'applications', 'resources', 'providers'],
  'provider-connections': ['provider_connections', 'providers'],
  'service-accounts': ['service_accounts'],
  'api-keys': ['api_keys', 'service_accounts'],
  roles: ['roles'],
  'role-bindings': ['role_bindings', 'roles'],
  approvals: ['step_up_challenges', 'applications'],
  'authority-records': ['authority_records'],
  sessions: ['agent_sessions', 'agent_session_labels', 'authority_records'],
  'admin-audit': ['admin_audit_events'],
  audit: ['audit_events', 'audit_event_labels'],
  subjects: ['authority_records', 'subjects', 'applications'],
  agents: ['agent_sessions', 'agent_session_labels', 'authority_records'],
  delegations: ['delegation_edges'],
  invocations: ['agent_invocations'],
}

const tablesOf = (list: List): readonly FilledTable[] =>
  readBy[/^[a-z-]+/.exec(list.path('small'))?.[0] ?? ''] ?? []

/**
 * Fills a zone of a thousand and one of `largeRows` rows, asks every list of both whose name contains `named`, and prints a table
 * and a line of JSON. True when every list is flat.
 */
export async function runFlatLists(largeRows: number, named: string): Promise<boolean> {
  const token = 'flat-lists-operator-token-0123456789abcdef'
  await using server = await startServerUnderLoad({ CARACAL_COORDINATOR_TOKEN: token })
  const parts = named.split(',')
  const asked = Object.entries(lists).filter(([name]) => parts.some((part) => name.includes(part)))
  const fillSeconds = await fill(server, largeRows, new Set(asked.flatMap(([, list]) => tablesOf(list))))
  console.log(`${smallRows} and ${largeRows} rows a list, filled in ${fillSeconds.toFixed(0)} s`)
  console.log('list                                     small p50    p95   large p50    p95   ratio')
  const measured: ListMeasured[] = []
  for (const [name, list] of asked) {
    const one = await measureFlat(name, list, {
      control: { url: `${server.urls.control}/v1/zones`, token: server.adminToken },
      coordinator: { url: `${server.urls.coordinator}/zones`, token },
    })
    measured.push(one)
    report(one)
  }
  console.log(JSON.stringify({ smallRows, largeRows, fillSeconds, lists: measured }))
  return measured.every(isFlat)
}

const isFlat = (one: ListMeasured) => one.error === undefined && one.ratio <= greatestRatio

function report(one: ListMeasured): void {
  const ms = (value: number) => value.toFixed(1).padStart(7)
  const verdict = one.error ?? (isFlat(one) ? '' : 'NOT FLAT')
  console.log(
    `${one.list.padEnd(42)}${ms(one.small.p50)}${ms(one.small.p95)}${ms(one.large.p50).padStart(12)}${ms(one.large.p95)}${one.ratio.toFixed(2).padStart(8)}   ${verdict}`,
  )
}

/** Joins the store of the running server. */
async function fill(
  server: ServerUnderLoad,
  largeRows: number,
  tables: ReadonlySet<FilledTable>,
): Promise<number> {
  const startedAt = performance.now()
  await using store = await startEmbeddedPostgres({
    dataDir: server.dataDir,
    log: pino({ level: 'error' }),
  })
  const sql = postgres({ ...store.connection, max: 1, onnotice: () => undefined })
  try {
    await fillZone(sql, 'large', largeRows, tables)
    await fillZone(sql, 'small', smallRows, tables)
    await sql`vacuum analyze`
  } finally {
    await sql.end({ timeout: 5 })
  }
  return (performance.now() - startedAt) / 1000
}

type Ends = Readonly<Record<List['at'], { readonly url: string; readonly token: string }>>

/** A list that looks steep is measured again: one that is steep stays so. */
async function measureFlat(name: string, list: List, ends: Ends): Promise<ListMeasured> {
  let best = await measure(name, list, ends)
  for (let attempt = 2; attempt <= attempts && !isFlat(best); attempt += 1) {
    const again = await measure(name, list, ends)
    if (best.error !== undefined || again.ratio < best.ratio) best = again
  }
  return best
}

async function measure(name: string, list: List, ends: Ends): Promise<ListMeasured> {
  const small = pages(list, 'small', ends)
  const large = pages(list, 'large', ends)
  const times = { small: [] as number[], large: [] as number[] }
  const deadline = performance.now() + secondsPerList * 1000
  let error: string | undefined
  try {
    // The first pages pay for plans and caches; they do not count.
    for (let n = 0; n < pagesDeep; n += 1) {
      await small()
      await large()
    }
    for (let n = 0; n < samples && performance.now() < deadline; n += 1) {
      times.small.push(await small())
      times.large.push(await large())
    }
  } catch (thrown) {
    error = String(thrown)
  }
  if (times.large.length === 0) error ??= `no page within ${secondsPerList} s`
  const of = (ms: number[]) => {
    ms.sort((a, b) => a - b)
    return { p50: quantile(ms, 0.5), p95: quantile(ms, 0.95) }
  }
  const [smallTimes, largeTimes] = [of(times.small), of(times.large)]
  return {
    list: name,
    small: smallTimes,
    large: largeTimes,
    ratio: largeTimes.p95 / smallTimes.p95,
    ...(error === undefined ? {} : { error }),
  }
}

/** Each call asks the next page, from the first again after `pagesDeep`, and answers its milliseconds. */
function pages(list: List, zone: string, ends: Ends): () => Promise<number> {
  const { url, token } = ends[list.at]
  const path = list.path(zone)
  const first = `${url}/${zone}/${path}${path.includes('?') ? '&' : '?'}limit=${rareRows}`
  let cursor: string | null = null
  let depth = 0
  return async () => {
    const asked = cursor === null ? first : `${first}&cursor=${encodeURIComponent(cursor)}`
    const began = performance.now()
    const answer = await fetch(asked, { headers: { authorization: `Bearer ${token}` } })
    const body = (await answer.json()) as { items?: unknown[]; next_cursor?: string | null }
    const ms = performance.now() - began
    if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(body)}`)
    if (depth === 0 && body.items?.length === 0) throw new Error('an empty list says nothing')
    depth += 1
    cursor = depth < pagesDeep ? (body.next_cursor ?? null) : null
    if (cursor === null) depth = 0
    return ms
  }
}
