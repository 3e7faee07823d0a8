/** The door of the audit room. */
export type { Accepted, AuditEvent, AuditSink, AuditSinkStats } from './event.ts'
export { auditOutboxEvent } from './frame.ts'
export { type AuditDeps, createAudit } from './role.ts'
export { type AuditSinkDeps, createAuditSink } from './sink.ts'
export { type ChainFinding, type ChainReport, verifyChain } from './verify-chain.ts'
