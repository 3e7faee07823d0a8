/**
 * The policy library: reads authority documents, decides mandates, evaluates
 * Rego modules. Pure: no I/O, no clock, no randomness; the same documents and
 * input always give the same answer. Used by sts (decide) and control
 * (validate, preview, verify bundles, simulate).
 */

export { type BundleResult, compileBundle, denyAllBundle, type PolicyBundle } from './bundle.ts'
export * from './contract.ts'
export { type DecideOptions, decide } from './decide.ts'
export * from './decision.ts'
export type * from './decision-input.ts'
export type * from './document.ts'
export * from './manifest.ts'
export {
  type CompilationResult,
  type EvaluatedBundle,
  type Evaluation,
  type EvaluationResult,
  type PolicyEngine,
  type PolicyModule,
  policyEngine,
} from './rego/engine.ts'
export { DEPTH_BUDGET, type EvaluationOptions, STEP_BUDGET, TIME_BUDGET_MS } from './rego/machine.ts'
export { completeInput } from './simulation.ts'
export { type PolicyTemplate, policyTemplates } from './templates.ts'
export { validateDocument } from './validate.ts'
