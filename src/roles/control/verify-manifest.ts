/**
 * What must hold before a policy set version exists or becomes active: the contract
 * of its documents, and that they load together (control-api §7.12). The bundle is
 * compiled here, in process, by the same library the STS decides with.
 */

import type { Queryable } from '../../platform/db/port.ts'
import { CaracalError } from '../../platform/errors.ts'
import { compileBundle, readManifest, schemaVersionProblem, validateDocument } from '../../policy/index.ts'
import { loadManifestDocuments, type ManifestDocument } from './store/policies.ts'

export interface VerifiedManifest {
  readonly canonical: string
  readonly sha256: string
  readonly schemaVersion: string
  readonly documents: readonly ManifestDocument[]
}

const contractBroken = (message: string) =>
  new CaracalError('invalid_policy_contract', { status: 422, message })

/** In manifest order; throws 422 when a version is unknown or of another zone. */
function inOrder(
  documents: readonly ManifestDocument[],
  ids: readonly string[],
  zoneId: string,
): ManifestDocument[] {
  const byId = new Map(documents.map((document) => [document.id, document]))
  return ids.map((id) => {
    const document = byId.get(id)
    if (document === undefined || document.zone_id !== zoneId) {
      throw contractBroken('the manifest names a policy version this zone does not have')
    }
    return document
  })
}

/** Throws 422 `invalid_policy_contract` or `invalid_policy_bundle`. */
export async function verifyManifest(
  db: Queryable,
  zoneId: string,
  manifest: unknown,
): Promise<VerifiedManifest> {
  const reading = readManifest(manifest)
  if (!reading.ok) throw contractBroken(reading.message)
  const rows = await loadManifestDocuments(db, reading.policyVersionIds)
  const documents = inOrder(rows, reading.policyVersionIds, zoneId)
  for (const document of documents) {
    const problem = schemaVersionProblem(document.schema_version)
    if (problem !== null) throw contractBroken(problem)
    const checked = validateDocument(document.content)
    if (!checked.ok) throw contractBroken(`policy version ${document.id}: ${checked.code}`)
  }
  const compiled = compileBundle(documents)
  if (!compiled.ok) throw new CaracalError('invalid_policy_bundle', { status: 422, message: compiled.detail })
  return {
    canonical: reading.canonical,
    sha256: reading.sha256,
    schemaVersion: documents[0]?.schema_version ?? '',
    documents,
  }
}
