import { counted } from '../../ui/format.ts'
import { PlatformLimit } from './platform-limit.tsx'

interface MintLimit {
  readonly limit_per_minute: number
  readonly max_per_minute: number
  readonly updated_by: string | null
  readonly updated_at: string | null
}

export function MintRate() {
  return (
    <PlatformLimit<MintLimit>
      title="Mint rate"
      about="How many mandates an application gets for one resource in a minute; more are refused. A change counts within half a minute."
      path="/v1/mint-rate-limit"
      resource="mint-rate-limit"
      label="Mandates per minute"
      say={(value) => `${counted(value, 'mandate')} per minute`}
      variable="STS_MINT_RATE_LIMIT_PER_MIN"
      read={({ limit_per_minute, max_per_minute, ...by }) => ({
        value: limit_per_minute,
        ceiling: max_per_minute,
        ...by,
      })}
      write={(limit_per_minute) => ({ limit_per_minute })}
    />
  )
}
