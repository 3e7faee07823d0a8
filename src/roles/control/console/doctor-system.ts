/** The checks that are about the deployment: its store, its clocks, its services and what waits to be published. */
import type { HealthReport } from '../../../platform/role.ts'
import type { Control } from '../control.ts'
import { databaseClock } from '../store/console-health.ts'
import { outboxBacklog } from '../store/outbox-status.ts'
import { checked, type DoctorCheck, type Finding } from './doctor-checks.ts'
import { evidenceChecks, roleAddress } from './doctor-evidence.ts'
import { probeCoordinator } from './status.ts'

const SKEW_WARN_MS = 2000
const SKEW_FAIL_MS = 30_000
const MOST_PENDING = 500
const PROBE_MS = 2000

const ok = (detail: string): Finding => ({ status: 'ok', detail })

async function skew({ db }: Control): Promise<Finding> {
  const before = Date.now()
  const theirs = await databaseClock(db)
  const middle = (before + Date.now()) / 2
  const off = Math.round(Math.abs(theirs - middle))
  const detail = `this process and the database differ by ${off} ms`
  if (off < SKEW_WARN_MS) return ok(detail)
  return { status: off < SKEW_FAIL_MS ? 'warn' : 'fail', detail, advice: 'Synchronise the clocks with NTP.' }
}

async function backlog({ db }: Control, producer: 'control' | 'coordinator'): Promise<Finding> {
  const { dead, pending } = await outboxBacklog(db, producer)
  const detail = `${pending} events wait, ${dead} were given up`
  if (dead === 0 && pending <= MOST_PENDING) return ok(detail)
  return { status: 'warn', detail, advice: 'Look for outbox errors in the log of this role.' }
}

/** The reason a service gives for not being ready. */
function reasonOf(body: unknown): string {
  const members = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const reason = ['reason', 'error', 'detail']
    .map((key) => members[key])
    .find((one) => typeof one === 'string')
  return typeof reason === 'string' ? reason : 'not ready'
}

async function readyOver(answer: Promise<Response | null>): Promise<Finding> {
  const response = await answer
  if (response === null) return { status: 'fail', detail: 'it does not answer', advice: 'Start this role.' }
  if (response.ok) return ok('ready')
  return { status: 'fail', detail: `${response.status} ${reasonOf(await response.json().catch(() => null))}` }
}

const ask = (base: string): Promise<Response | null> =>
  fetch(`${base.replace(/\/$/, '')}/ready`, {
    signal: AbortSignal.timeout(PROBE_MS),
    redirect: 'manual',
  }).catch(() => null)

/** Every service that this process knows how to reach; one it does not know is not reported at all. */
export function systemChecks(control: Control, ready: () => Promise<HealthReport>): Promise<DoctorCheck>[] {
  const { sts, coordinator } = control
  const { CARACAL_GATEWAY_URL: gateway } = control.settings
  const audit = roleAddress(control, 'audit')
  return [
    checked('health', 'database', async () => {
      await control.db.ping(PROBE_MS)
      return ok('answers')
    }),
    checked('health', 'clock skew', () => skew(control)),
    checked('health', 'admin auth', async () => ok('the session was proved against the database')),
    checked('readiness', 'control', async () => {
      const { status, body } = await ready()
      return status === 200 ? ok('ready') : { status: 'fail', detail: reasonOf(body) }
    }),
    ...(sts === null
      ? []
      : [
          checked('readiness', 'sts', async () => {
            await sts.ping()
            return ok('answers')
          }),
        ]),
    ...(coordinator === null
      ? []
      : [checked('readiness', 'coordinator', () => readyOver(probeCoordinator(control, '/ready')))]),
    ...(gateway === null ? [] : [checked('readiness', 'gateway', () => readyOver(ask(gateway)))]),
    ...(audit === null ? [] : [checked('readiness', 'audit', () => readyOver(ask(audit)))]),
    checked('health', 'control outbox', () => backlog(control, 'control')),
    checked('health', 'coordinator outbox', () => backlog(control, 'coordinator')),
    ...evidenceChecks(control),
  ]
}
