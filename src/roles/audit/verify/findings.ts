/** What a verification found. Nothing is repaired; a finding names the chain and the place. */

type FindingKind =
  /** The row's content does not match its hash. */
  | 'content_mismatch'
  /** The row does not point to the one before it, or the head does not point to the last. */
  | 'chain_break'
  /** The keyed link is missing or made with another key. */
  | 'hmac_failure'
  /** Links are gone and retention did not take them. */
  | 'missing_links'
  /** The newest links are gone. */
  | 'truncated'
  /** A further row claims a number that is taken, has none, or lies beyond the head. */
  | 'foreign_row'
  /** The chain is no longer the one that was attested before. */
  | 'attested_otherwise'

export interface ChainFinding {
  readonly kind: FindingKind
  /** The zone, or the name of an administrative chain (`admin-audit:<zone>`, `admin-audit::global`). */
  readonly zoneId: string
  /** Number of the row that shows it; for `missing_links` and `truncated` the first one that is not there. */
  readonly chainSeq: number
  readonly eventId: string | null
}

export interface ChainReport {
  readonly zoneId: string
  readonly checked: number
  /** How many there are; `findings` holds the first of them. */
  readonly total: number
  readonly findings: readonly ChainFinding[]
  /** The last link that was reached, to go on from. */
  readonly last: { readonly chainSeq: number; readonly contentSha256: string } | null
}

/** A chain under a lost key has a finding in every row: memory stays bounded. */
const kept = 1_000

export interface Findings {
  add(kind: FindingKind, chainSeq: number, eventId: string | null): void
  report(checked: number, last: ChainReport['last']): ChainReport
}

export function collectFindings(zoneId: string, onFinding?: (finding: ChainFinding) => void): Findings {
  const findings: ChainFinding[] = []
  let total = 0
  return {
    add(kind, chainSeq, eventId) {
      const finding = { kind, zoneId, chainSeq, eventId }
      total += 1
      if (findings.length < kept) findings.push(finding)
      onFinding?.(finding)
    },
    report: (checked, last) => ({ zoneId, checked, total, findings, last }),
  }
}
