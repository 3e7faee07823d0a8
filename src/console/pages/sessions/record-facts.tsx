import { api, inZone, withQuery } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Facts, Id, Time } from '../../ui/basics.tsx'
import { Named, type Names } from '../../ui/names.tsx'
import type { AuthorityRecord } from './record.ts'
import { tones } from './shapes.ts'

interface RecordFactsProps {
  readonly zoneId: string
  readonly id: string
  readonly names: Names
}

/** On whose authority a session runs. */
export function RecordFacts({ zoneId, id, names }: RecordFactsProps) {
  const path = withQuery(inZone(zoneId, '/authority-records'), { authority_record_id: id })
  const found = useData(
    path,
    async (signal) => (await api.page<AuthorityRecord>(path, signal)).items[0] ?? null,
  )
  return (
    <>
      <h3>Runs on the authority of</h3>
      <Async of={found}>
        {(record) =>
          record === null ? (
            <p class="faint">
              Authority record <Id value={id} />, which is no longer kept.
            </p>
          ) : (
            <Facts
              of={{
                Subject: <Named id={record.subject_id} names={names} />,
                Kind: record.authority_record_type,
                Issuer: record.federated_user_issuer ?? undefined,
                'Authority record': <Id value={id} />,
                Status: <Badge tone={tones[record.status] ?? 'idle'}>{record.status}</Badge>,
                Expires: <Time at={record.expires_at} />,
                'Revoked because': record.revoked_reason ?? undefined,
              }}
            />
          )
        }
      </Async>
    </>
  )
}
