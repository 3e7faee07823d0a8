/** The one way a zone gets a signing key (storage-and-operations §9.2): sealed and numbered under one lock. */
import type { EnvelopeCipher } from '../../platform/crypto/port.ts'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import type { Tx } from '../../platform/db/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { generateSigningKeyPem } from '../../platform/jose/zone-key.ts'
import type { Outbox } from '../../platform/outbox/port.ts'
import { insertKey, lockSigningKey, type SigningKeyRow } from './store/signing-keys.ts'

interface ZoneKeyDeps {
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
  const { id, envelope } = sealedKey(cipher)
  await insertKey(tx, { id, zoneId, envelope, aheadMs })
  await outbox.enqueue(tx, 'sts', [
    { topic: 'caracal.keys.invalidate', dedupeKey: id, payload: { zone_id: zoneId, kid: id } },
  ])
  return { id, zone_id: zoneId, version: 0, envelope }
}

/**
 * The first key of a zone made in this transaction, so that its JWKS answers as soon as the zone is
 * there (control-api §7.4). Nobody can have cached anything of a zone that does not exist yet, so
 * nobody is told.
 */
export async function addFirstZoneKey(cipher: EnvelopeCipher, tx: Tx, zoneId: string): Promise<void> {
  const { id, envelope } = sealedKey(cipher)
  await lockSigningKey(tx, zoneId)
  await insertKey(tx, { id, zoneId, envelope, aheadMs: 0 })
}

function sealedKey(cipher: EnvelopeCipher) {
  const pem = Buffer.from(generateSigningKeyPem(), 'utf8')
  return { id: uuidv7(), envelope: cipher.seal(pem, columnAad.zoneSigningKey) }
}
