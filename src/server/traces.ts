/** The trace exporter of the process, where a collector is configured (storage-and-operations §14.2). */
import type { Logger } from 'pino'
import type { Settings } from '../config/env.ts'
import { buildVersion } from '../config/version.ts'
import {
  createTraceExporter,
  resourceAttributes,
  type TraceExporter,
} from '../platform/observe/otlp-exporter.ts'
import type { RoleName } from '../platform/role.ts'

/** `null` without `OTEL_EXPORTER_OTLP_ENDPOINT`: then no role makes spans. */
export function openTraces(settings: Settings, log: Logger): TraceExporter | null {
  const endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
  if (endpoint === null) return null
  return createTraceExporter({
    endpoint,
    protocol: settings.OTEL_EXPORTER_OTLP_PROTOCOL,
    resource: new Map([
      ['service.version', settings.CARACAL_VERSION ?? buildVersion()],
      ['deployment.environment.name', settings.CARACAL_ENV],
      ...resourceAttributes(settings.OTEL_RESOURCE_ATTRIBUTES),
    ]),
    log,
  })
}

/** v1 calls role control `api`. */
export const serviceName = (settings: Settings, role: RoleName): string =>
  settings.OTEL_SERVICE_NAME ?? `caracal-${role === 'control' ? 'api' : role}`
