/** The variables of storage-and-operations §10 that the gateway reads. Times in milliseconds. */
import type { Settings } from '../../config/env.ts'

export type GatewaySettings = Pick<
  Settings,
  | 'CARACAL_MODE'
  | 'STS_TIMEOUT'
  | 'UPSTREAM_TIMEOUT'
  | 'READ_TIMEOUT'
  | 'READ_HEADER_TIMEOUT'
  | 'WRITE_TIMEOUT'
  | 'STREAM_IDLE_TIMEOUT'
  | 'STREAM_MAX_DURATION'
  | 'IDLE_TIMEOUT'
  | 'MAX_REQUEST_BYTES'
  | 'UPSTREAM_HOST_ALLOWLIST'
  | 'UPSTREAM_BLOCK_PRIVATE'
  | 'TRUST_PROXY'
  | 'JTI_FAIL_OPEN'
  | 'REVOCATION_STORE_WRITER'
  | 'CARACAL_ADMIN_TOKEN'
  | 'METRICS_BEARER'
  | 'TLS_CERT_FILE'
  | 'CARACAL_TLS_EXTRA_CA_FILE'
  | 'GATEWAY_RATE_LIMIT_PER_IP_PER_MIN'
  | 'GATEWAY_RATE_LIMIT_PER_APPLICATION_PER_MIN'
>
