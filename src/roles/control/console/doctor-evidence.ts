/**
 * What only the STS and the audit role count: policies that do not compile or evaluate, and the state of the
 * evidence (sdk-cli-console §13.4). They are asked for their metrics; where they cannot be asked, that is said.
 */
import { rolesOf } from '../../../config/load.ts'
import { clientHost } from '../../../platform/http/client-host.ts'
import type { Control } from '../control.ts'
import { checked, type DoctorCheck, type Finding } from './doctor-checks.ts'

type Deps = Pick<Control, 'settings'>
type Asked = 'sts' | 'audit'

const PROBE_MS = 2000
const MOST_WAITING = 1000

/** Where a role answers this process; `null` where only the kernel knows the port, or nobody said. */
export function roleAddress({ settings }: Deps, role: Asked): string | null {
  if (!rolesOf(settings).includes(role)) return role === 'sts' ? settings.STS_URL : null
  const own = role === 'sts' ? settings.STS_PORT : settings.AUDIT_PORT
  const port = settings.CARACAL_SINGLE_PORT ?? own
  return port === 0 ? null : `http://${clientHost(settings.HOST)}:${port}`
}

/** The sum of a metric's samples in an exposition; throws when it has none. */
type Counts = (metric: string) => number

class NotCounted extends Error {
  override readonly name = 'NotCounted'
}

function countsIn(exposition: string): Counts {
  const samples = exposition.split('\n').map((line) => /^(\w+)(?:\{.*\})? (\S+)/.exec(line))
  return (metric) => {
    const values = samples.filter((sample) => sample?.[1] === metric).map((sample) => Number(sample?.[2]))
    if (values.length === 0) throw new NotCounted(`it does not count ${metric}`)
    return values.reduce((sum, value) => sum + value, 0)
  }
}

async function ask(deps: Deps, role: Asked): Promise<Counts> {
  const base = roleAddress(deps, role)
  if (base === null) throw new NotCounted('its address is not known here')
  const { METRICS_BEARER: bearer } = deps.settings
  const response = await fetch(`${base.replace(/\/$/, '')}/metrics`, {
    headers: bearer === null ? {} : { authorization: `Bearer ${bearer}` },
    signal: AbortSignal.timeout(PROBE_MS),
    redirect: 'manual',
  }).catch(() => null)
  if (response === null) throw new NotCounted('it does not answer')
  if (!response.ok) {
    await response.body?.cancel()
    const closed = response.status === 401 || response.status === 403
    throw new NotCounted(
      closed ? 'METRICS_BEARER does not open its metrics' : `it answers ${response.status}`,
    )
  }
  return countsIn(await response.text())
}

interface Question {
  readonly check: string
  readonly role: Asked
  /** Their sum is looked at. */
  readonly metrics: readonly string[]
  readonly most?: number
  readonly otherwise: 'warn' | 'fail'
  readonly says: (count: number) => string
  readonly advice: string
}

const questions: readonly Question[] = [
  {
    check: 'policy compilation',
    role: 'sts',
    metrics: ['caracal_sts_opa_compile_errors_total'],
    otherwise: 'fail',
    says: (count) => `${count} policy bundles could not be compiled since the STS started`,
    advice: 'Validate the policies of the active sets.',
  },
  {
    check: 'policy evaluation',
    role: 'sts',
    metrics: ['caracal_sts_opa_eval_errors_total'],
    otherwise: 'warn',
    says: (count) => `${count} decisions ended in an error since the STS started`,
    advice: 'Look for evaluation_status error in the audit.',
  },
  {
    check: 'audit chain',
    role: 'audit',
    metrics: ['caracal_audit_tamper_mismatch_total', 'caracal_audit_tamper_chain_breaks_total'],
    otherwise: 'fail',
    says: (count) => `${count} links of the ledger do not hold`,
    advice: 'Run caracal audit verify.',
  },
  {
    check: 'audit signatures',
    role: 'audit',
    metrics: ['caracal_audit_hmac_failures_total', 'caracal_audit_tamper_hmac_failures_total'],
    otherwise: 'warn',
    says: (count) => `${count} entries or links without a valid signature`,
    advice: 'Every process needs the same AUDIT_HMAC_KEY.',
  },
  {
    check: 'audit dead letters',
    role: 'audit',
    metrics: ['caracal_audit_dlq_size'],
    otherwise: 'warn',
    says: (count) => `${count} events could not be stored`,
    advice: 'List and replay the dead letters of the audit role.',
  },
  {
    check: 'audit lag',
    role: 'audit',
    metrics: ['caracal_audit_consumer_lag', 'caracal_audit_stream_undelivered'],
    most: MOST_WAITING,
    otherwise: 'warn',
    says: (count) => `${count} events wait to be stored`,
    advice: 'Look for errors in the log of the audit role.',
  },
]

function findingOf({ metrics, most = 0, otherwise, says, advice }: Question, counts: Counts): Finding {
  const count = metrics.reduce((sum, metric) => sum + counts(metric), 0)
  return count <= most
    ? { status: 'ok', detail: says(count) }
    : { status: otherwise, detail: says(count), advice }
}

/** A check that cannot be made is a warning: nothing is known to be wrong. */
function unmade(role: Asked, error: unknown): Finding {
  if (!(error instanceof NotCounted)) throw error
  return {
    status: 'warn',
    detail: `it could not be checked: ${role}: ${error.message}`,
    advice: `Look at the metrics of role ${role} where they can be read.`,
  }
}

export function evidenceChecks(deps: Deps): Promise<DoctorCheck>[] {
  const answers = { sts: ask(deps, 'sts'), audit: ask(deps, 'audit') }
  return questions.map((question) =>
    checked('health', question.check, () =>
      answers[question.role]
        .then((counts) => findingOf(question, counts))
        .catch((error: unknown) => unmade(question.role, error)),
    ),
  )
}
