/** The door of the audit room. */
export type { Accepted, AuditEvent, AuditSink, AuditSinkStats } from './event.ts'
export { auditOutboxEvent } from './frame.ts'
export { type AuditDeps, createAudit } from './role.ts'
export { type AuditSinkDeps, createAuditSink } from './sink.ts'
export type { ChainFinding, ChainReport } from './verify/findings.ts'
export { verifyAdminChain } from './verify/verify-admin-chain.ts'
export { verifyChain } from './verify/verify-chain.ts'
export { verifyEverything } from './verify/verify-everything.ts'
