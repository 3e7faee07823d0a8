/**
 * Tamper verification of an administrative chain (audit-and-events §8.2, §13). These chains have no
 * head table: what a former sweep reached (the checkpoint) tells when the newest links are gone.
 */
import { adminChainName } from '../../../platform/admin-audit/chain-name.ts'
import { adminChainHmac, adminContentSha256 } from '../../../platform/admin-audit/record.ts'
import type { Queryable } from '../../../platform/db/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { attestedLinks } from '../store/attested.ts'
import { type AdminLink, walkAdminChain } from '../store/walk-admin-chain.ts'
import { type ChainReport, collectFindings } from './findings.ts'
import type { VerifyOptions } from './verify-chain.ts'

/** Verifies the whole chain; it is small next to the ledger. */
export async function verifyAdminChain(
  db: Queryable,
  key: HmacKey,
  zoneId: string | null,
  options: Omit<VerifyOptions, 'fromSeq'> = {},
): Promise<ChainReport> {
  const name = adminChainName(zoneId)
  const findings = collectFindings(name, options.onFinding)
  const [attested] = await attestedLinks(db, name)
  let checked = 0
  let seq = 1
  let previous: string | null | undefined = null
  for await (const link of walkAdminChain(db, zoneId)) {
    options.signal?.throwIfAborted()
    const at = (kind: Parameters<typeof findings.add>[0], chainSeq = link.chainSeq) =>
      findings.add(kind, chainSeq, link.record.id)
    checked += 1
    if (link.chainSeq < seq) {
      at('foreign_row')
      continue
    }
    if (link.chainSeq > seq) at('missing_links', seq)
    else if (link.prevContentSha256 !== previous) at('chain_break')
    if (adminContentSha256(link.record) !== link.contentSha256) at('content_mismatch')
    if (!adminHmacHolds(key, link)) at('hmac_failure')
    if (attested?.chainSeq === link.chainSeq && attested.contentSha256 !== link.contentSha256)
      at('attested_otherwise')
    seq = link.chainSeq + 1
    previous = link.contentSha256
  }
  if (attested !== undefined && attested.chainSeq >= seq) findings.add('truncated', seq, null)
  return findings.report(
    checked,
    typeof previous === 'string' ? { chainSeq: seq - 1, contentSha256: previous } : null,
  )
}

/** These rows carry no key id, so any accepted key may have made the link. */
function adminHmacHolds(key: HmacKey, link: AdminLink): boolean {
  if (key.accepted.length === 0) return link.chainHmac === null
  return key.accepted.some(
    (candidate) => adminChainHmac(candidate, link.contentSha256, link.prevContentSha256) === link.chainHmac,
  )
}
