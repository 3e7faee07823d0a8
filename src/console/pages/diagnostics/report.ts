/** The doctor report (sdk-cli-console §13.4). */
export interface CheckResult {
  readonly section: string
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  readonly advice?: string
}

export interface Report {
  readonly ready: boolean
  readonly summary: Readonly<Record<'ok' | 'warn' | 'fail' | 'total', number>>
  readonly checks: readonly CheckResult[]
  readonly generatedAt: string
}

export const sectionTitles: Readonly<Record<string, string>> = {
  preflight: 'Before the start',
  health: 'Health',
  readiness: 'Parts of the server',
  zones: 'Zones',
}

const urgency = ['fail', 'warn', 'ok']

/** In the report's order of sections; in each of them what needs somebody comes first. */
export function bySection(checks: readonly CheckResult[]): (readonly [string, readonly CheckResult[]])[] {
  return [...new Set(checks.map(({ section }) => section))].map((section) => [
    section,
    checks
      .filter((check) => check.section === section)
      .sort((a, b) => urgency.indexOf(a.status) - urgency.indexOf(b.status)),
  ])
}
