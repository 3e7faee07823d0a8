import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { JWK } from 'jose'
import { verifyReceipt as check, type ReceiptVerdict } from '../../roles/audit/index.ts'
import { jsonObject } from '../../sdk/read-body.ts'
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'

type Problem = Extract<ReceiptVerdict, { ok: false }>['problem']

const sentences: Readonly<Record<Problem, string>> = {
  malformed: 'this is not a receipt',
  not_canonical: 'the text is not as it was signed',
  key_invalid: 'the key in the receipt is not what its id says',
  key_unknown: 'the receipt was signed by a key that is not in the key set',
  signature_invalid: 'the signature does not hold',
  content_mismatch: 'the event is not the one that was recorded',
  head_invalid: 'the tree head does not hold',
  not_included: 'the event is not in the tree',
}

/** Checks a receipt offline (docs/audit-receipts.md). Exit 0: it holds, 1: it does not. */
export async function verifyReceipt({ arguments: given, cwd, out }: Invocation): Promise<number> {
  const [, path] = given.positional
  if (path === undefined) throw new UsageError('audit verify-receipt needs a file')
  const keys = given.values.keys === undefined ? null : await readKeys(resolve(cwd, given.values.keys))
  const verdict = check(await readFile(resolve(cwd, path), 'utf8'), keys)
  if (given.switches.has('json')) out.line(JSON.stringify(describe(verdict)))
  else if (!verdict.ok) out.status('fail', `${verdict.problem}: ${sentences[verdict.problem]}`)
  else {
    const { event, chain, issued_at: issuedAt } = verdict.receipt
    out.status('ok', `${event.event_type} ${event.decision} of ${event.occurred_at} in zone ${event.zone_id}`)
    out.line(`  event ${event.id}, number ${chain.chain_seq} of its chain, receipt of ${issuedAt}`)
    out.line(`  key ${verdict.kid}`)
    if (!verdict.pinned)
      out.status('warn', 'only the receipt vouches for this key: compare it with the zone’s, or pass --keys')
  }
  return verdict.ok ? 0 : 1
}

function describe(verdict: ReceiptVerdict): object {
  if (!verdict.ok) return { ok: false, problem: verdict.problem }
  const { event, chain } = verdict.receipt
  return {
    ok: true,
    key_pinned: verdict.pinned,
    kid: verdict.kid,
    zone_id: event.zone_id,
    event_id: event.id,
    chain_seq: chain.chain_seq,
    content_sha256: chain.content_sha256,
  }
}

async function readKeys(path: string): Promise<JWK[]> {
  const parsed = jsonObject(await readFile(path, 'utf8'))
  if (!Array.isArray(parsed?.keys)) throw new UsageError('--keys needs a file with a JSON Web Key Set')
  return parsed.keys as JWK[]
}
