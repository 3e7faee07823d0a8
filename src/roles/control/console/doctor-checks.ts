/** One check of the diagnostics (sdk-cli-console §13.4): what was asked, how it went, what to do about it. */
import { redactText } from '../../../platform/observe/redact.ts'

type Section = 'health' | 'readiness' | 'zones'
export type CheckStatus = 'ok' | 'warn' | 'fail'

export interface DoctorCheck {
  readonly section: Section
  readonly check: string
  readonly status: CheckStatus
  readonly detail: string
  readonly advice?: string
}

export type Finding = Pick<DoctorCheck, 'status' | 'detail' | 'advice'>

const MOST_CHARACTERS = 240
const urlPattern = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi

/** Without credentials, path and query: the host is what a person needs to find the fault. */
function withoutAddress(url: string): string {
  if (!URL.canParse(url)) return '***'
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

/** A text that may be shown: no URL in full, nothing that looks like a credential, at most 240 characters. */
export function shown(text: string): string {
  const clean = redactText(text.replace(urlPattern, withoutAddress), 0)
  return clean.length <= MOST_CHARACTERS ? clean : `${clean.slice(0, MOST_CHARACTERS - 1)}…`
}

/** Runs a check; one that cannot be made has failed, and says no more than that. */
export async function checked(
  section: Section,
  check: string,
  work: () => Promise<Finding>,
): Promise<DoctorCheck> {
  const finding = await work().catch(
    (error: unknown): Finding => ({
      status: 'fail',
      detail: `it could not be checked (${(error as { name?: string }).name ?? 'error'})`,
    }),
  )
  return { section, check, ...finding, detail: shown(finding.detail) }
}
