import { loadSettings } from '../../config/load.ts'
import { keyRing } from '../../platform/crypto/key-ring.ts'
import { openDatabase } from '../../platform/db/client.ts'
import { APP_ROLE } from '../../platform/db/session-role.ts'
import type { ChainFinding } from '../../roles/audit/index.ts'
import { verifyEverything } from '../../roles/audit/index.ts'
import { openStore, withStore } from '../../server/store.ts'
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'
import { ofExistingStore } from '../managed-secrets.ts'
import { whileTelling } from '../progress.ts'
import { quietLogger } from '../quiet-logger.ts'

const sentences: Readonly<Record<ChainFinding['kind'], string>> = {
  content_mismatch: 'the row was changed',
  chain_break: 'the link does not follow the one before it',
  hmac_failure: 'the keyed link is not valid',
  missing_links: 'links are missing from here on, and retention did not take them',
  truncated: 'the newest links are missing from here on',
  foreign_row: 'a row that ingest did not put there',
  attested_otherwise: 'the link is not the one that was attested before',
}

/**
 * Recomputes every chain (audit-and-events §13). Exit 0: clean, 1: findings, each named with zone and sequence, or
 * no chain of the zone that was named, of which nothing can be said.
 */
export async function verify({ arguments: given, env, cwd, out }: Invocation): Promise<number> {
  const { zone, since } = given.values
  if (since !== undefined && Number.isNaN(Date.parse(since)))
    throw new UsageError('--since needs an instant like 2026-01-31T00:00:00Z')
  const settings = loadSettings(ofExistingStore(env, cwd, ['audit']), { roles: ['audit'], cwd })
  const log = quietLogger((message) => out.status('warn', message))
  await using store = await openStore(settings, ['audit'], log)
  const target = store.target('audit')
  await using db = await withStore(store.variable('audit'), 0, log, () =>
    openDatabase({
      connection: target,
      applicationName: 'caracal-audit-verify',
      settings,
      log,
      ...(store.embedded && typeof target !== 'string' ? { role: APP_ROLE } : {}),
    }),
  )

  const json = given.switches.has('json')
  let chains = 0
  let checked = 0
  let total = 0
  const findings: ChainFinding[] = []
  const instant = since === undefined ? undefined : new Date(since).toISOString()
  const walk = async (): Promise<void> => {
    for await (const report of verifyEverything(db, keyRing(settings).audit, {
      zoneId: zone,
      since: instant,
    })) {
      chains += 1
      checked += report.checked
      total += report.total
      if (json) findings.push(...report.findings)
      else for (const finding of report.findings) out.status('fail', describe(finding))
    }
  }
  await whileTelling(out, () => `${checked} links in ${chains} chains so far`, walk)
  const isUnknown = zone !== undefined && chains === 0
  const ok = total === 0 && !isUnknown
  if (json) {
    out.line(
      JSON.stringify({
        ok,
        chains,
        checked,
        findings_total: total,
        findings: findings.map((one) => ({
          kind: one.kind,
          zone_id: one.zoneId,
          chain_seq: one.chainSeq,
          event_id: one.eventId,
        })),
      }),
    )
  } else if (isUnknown) out.status('fail', `there is no chain of a zone ${zone}: nothing was verified`)
  else if (total === 0) out.status('ok', `${checked} links in ${chains} chains, no finding`)
  else out.status('fail', `${checked} links in ${chains} chains, ${total} findings`)
  return ok ? 0 : 1
}

function describe({ kind, zoneId, chainSeq, eventId }: ChainFinding): string {
  return `${zoneId} #${chainSeq}: ${kind}: ${sentences[kind]}${eventId === null ? '' : ` (${eventId})`}`
}
