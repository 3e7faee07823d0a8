/** Choosing the policy versions of a new version of a set. */
import { useState } from 'preact/hooks'
import { ApiError, api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Button, Empty, Id } from '../../ui/basics.tsx'
import { Form } from '../../ui/form.tsx'
import type { PolicyWithVersions } from './shapes.ts'

interface ComposeProps {
  readonly zone: Zone
  readonly setId: string
  readonly policies: readonly PolicyWithVersions[]
  /** Policy versions of the version to begin with. */
  readonly held: readonly string[]
  readonly onMade: (versionId: string) => void
  readonly onCancel: () => void
}

const none = ''

export function Compose({ zone, setId, policies, held, onMade, onCancel }: ComposeProps) {
  const [choice, setChoice] = useState<ReadonlyMap<string, string>>(
    () =>
      new Map(
        policies.map(({ id, versions }) => [
          id,
          versions.find((version) => held.includes(version.id))?.id ??
            (held.length === 0 ? (versions[0]?.id ?? none) : none),
        ]),
      ),
  )
  const known = new Set(policies.flatMap(({ versions }) => versions.map(({ id }) => id)))
  const [archived, setArchived] = useState(() => held.filter((id) => !known.has(id)))
  const choose = (policyId: string, versionId: string) => setChoice(new Map(choice).set(policyId, versionId))
  const save = async () => {
    const chosen = [...archived, ...choice.values()].filter((id) => id !== none)
    if (chosen.length === 0) throw new Error('Choose at least one policy.')
    const manifest = chosen.map((policy_version_id) => ({ policy_version_id }))
    const made = await api
      .post<{ readonly id: string }>(inZone(zone.id, `/policy-sets/${setId}/versions`), { manifest })
      .catch((error: Error) => Promise.reject(withNames(error, policies)))
    onMade(made.id)
  }
  const outdated = policies.some(({ id, versions }) => {
    const chosen = choice.get(id) ?? none
    return chosen !== none && chosen !== versions[0]?.id
  })
  const takeNewest = () =>
    setChoice(
      new Map(
        policies.map(({ id, versions }) => [
          id,
          (choice.get(id) ?? none) === none ? none : (versions[0]?.id ?? none),
        ]),
      ),
    )
  if (policies.length === 0 && archived.length === 0)
    return (
      <Empty>
        There is no policy in this zone to choose from.{' '}
        <Link to={`/zones/${zone.id}/policies/new`}>Write the first one</Link>.
      </Empty>
    )
  return (
    <Form action="Store version" onSubmit={save} onCancel={onCancel}>
      <p class="hint">
        All chosen documents are read as one. The server refuses the version when they contradict each other.
      </p>
      {outdated && <Button onClick={takeNewest}>Take the newest of each</Button>}
      {policies.map((policy) => (
        <PolicyChoice
          key={policy.id}
          policy={policy}
          chosen={choice.get(policy.id) ?? none}
          onChoose={(versionId) => choose(policy.id, versionId)}
        />
      ))}
      {archived.map((id) => (
        <label key={id} class="check">
          <input type="checkbox" checked onInput={() => setArchived(archived.filter((one) => one !== id))} />
          <span>
            An archived policy, version <Id value={id} />
          </span>
        </label>
      ))}
    </Form>
  )
}

interface PolicyChoiceProps {
  readonly policy: PolicyWithVersions
  readonly chosen: string
  readonly onChoose: (versionId: string) => void
}

function PolicyChoice({ policy: { name, versions }, chosen, onChoose }: PolicyChoiceProps) {
  const newest = versions[0]?.id ?? none
  return (
    <div class="policy-choice">
      <label class="check">
        <input
          type="checkbox"
          checked={chosen !== none}
          onInput={(event) => onChoose(event.currentTarget.checked ? newest : none)}
        />
        <span>{name}</span>
      </label>
      {chosen !== none && (
        <select
          aria-label={`Version of ${name}`}
          value={chosen}
          onInput={(event) => onChoose(event.currentTarget.value)}
        >
          {versions.map(({ id, version }) => (
            <option key={id} value={id}>
              version {version}
              {id === newest ? ' (newest)' : ''}
            </option>
          ))}
        </select>
      )}
    </div>
  )
}

/** The server names policy versions by id, which nobody here has seen. */
function withNames(error: Error, policies: readonly PolicyWithVersions[]): Error {
  if (!(error instanceof ApiError)) return error
  const message = policies
    .flatMap(({ name, versions }) =>
      versions.map(({ id, version }) => ({ id, called: `“${name}” version ${version}` })),
    )
    .reduce((text, { id, called }) => text.replaceAll(id, called), error.message)
  return new ApiError(error.status, error.code, message, error.requestId, error.details)
}
