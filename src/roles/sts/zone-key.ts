/** The one way a zone gets a signing key (storage-and-operations §9.2): sealed, numbered, and told to everyone who caches keys. */
import type { EnvelopeCipher } from '../../platform/crypto/port.ts'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import type { Tx } from '../../platform/db/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { generateSigningKeyPem } from '../../platform/jose/zone-key.ts'
import type { Outbox } from '../../platform/outbox/port.ts'
import { insertKey, lockSigningKey, type SigningKeyRow } from './store/signing-keys.ts'

export interface ZoneKeyDeps {
  readonly cipher: EnvelopeCipher
  readonly outbox: Outbox
}

/** Adds the zone's next key, which signs from `aheadMs` on. The caller holds `lockSigningKey`. */
export async function addZoneKey(
  { cipher, outbox }: ZoneKeyDeps,
  tx: Tx,
  zoneId: string,
  aheadMs: number,
): Promise<SigningKeyRow> {
  const id = uuidv7()
  const envelope = cipher.seal(Buffer.from(generateSigningKeyPem(), 'utf8'), columnAad.zoneSigningKey)
  await insertKey(tx, { id, zoneId, envelope, aheadMs })
  await outbox.enqueue(tx, 'sts', [
    { topic: 'caracal.keys.invalidate', dedupeKey: id, payload: { zone_id: zoneId, kid: id } },
  ])
  return { id, zone_id: zoneId, version: 0, envelope }
}

/** The first key of a zone made in this transaction, so that its JWKS answers as soon as the zone is there (control-api §7.4). */
export async function addFirstZoneKey(deps: ZoneKeyDeps, tx: Tx, zoneId: string): Promise<void> {
  await lockSigningKey(tx, zoneId)
  await addZoneKey(deps, tx, zoneId, 0)
}
