/** The STS of a deployment as other roles have it: its HTTP surface, and its port over the signed envelope. */
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { stsOverHttp } from '../../../src/roles/gateway/index.ts'
import type { StsRole } from '../../../src/roles/sts/index.ts'
import { testSettings } from '../../fixtures/settings.ts'
import { remoteRole } from '../../fixtures/shared-deployment.ts'

export function remoteSts(url: string): StsRole & AsyncDisposable {
  const { gatewaySts: key } = keyRing(testSettings())
  const role = remoteRole<StsRole>(url)
  const port = stsOverHttp({ url, key, timeoutMs: 10_000 })
  return new Proxy(role, {
    get: (target, name) => Reflect.get(name in port ? port : target, name),
  }) as StsRole & AsyncDisposable
}
