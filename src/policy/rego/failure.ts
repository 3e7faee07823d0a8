/** What can go wrong with a module: at authoring (with a position) or while evaluating. */

/** A module is refused: syntax error, unsafe, or outside the supported subset. Positions are 1-based. */
export class RegoSyntaxError extends Error {
  override readonly name = 'RegoSyntaxError'
  readonly line: number
  readonly column: number
  /** The module's id, once it is known. */
  module: string | undefined = undefined

  constructor(message: string, at: Position) {
    super(message)
    this.line = at.line
    this.column = at.column
  }
}

export type EvaluationFailure = 'conflict' | 'budget' | 'input'

/** An evaluation ended without an answer. The caller denies. */
export class RegoEvaluationError extends Error {
  override readonly name = 'RegoEvaluationError'
  readonly kind: EvaluationFailure

  constructor(kind: EvaluationFailure, message: string) {
    super(message)
    this.kind = kind
  }
}

/** 1-based; columns count UTF-16 units. */
export interface Position {
  readonly line: number
  readonly column: number
}
