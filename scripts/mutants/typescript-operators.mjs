// Mistakes in TypeScript, found in its syntax tree.
import ts from 'typescript';
import { besides, mutantsOf, swaps } from './mutant.mjs';

const { SyntaxKind } = ts;

/** The compiled file, as mutants are compiled, too. */
export function transpile(file, text) {
  const compilerOptions = { target: 'es2023', module: 'esnext', verbatimModuleSyntax: true };
  return ts.transpileModule(text, { fileName: file, compilerOptions }).outputText;
}

export function typescriptMutants(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true);
  const found = [];
  const visit = (node) => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isImportDeclaration(node)) return;
    for (const [operator, part, replacements] of mistakes(node)) {
      for (const replacement of replacements) {
        found.push({ operator, start: part.getStart(source), end: part.getEnd(), replacement });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return mutantsOf(file, text, found);
}

// [operator, what is replaced, by what]
function* mistakes(node) {
  if (ts.isBinaryExpression(node)) {
    const replacements = swaps[node.operatorToken.getText()];
    if (replacements !== undefined && !joinsText(node)) yield ['operator', node.operatorToken, replacements];
  } else if (ts.isIfStatement(node)) {
    yield ['negated', node.expression, [`!(${node.expression.getText()})`]];
    if (ends(node.thenStatement) && node.elseStatement === undefined) yield ['no early end', node, [';']];
  } else if (ts.isConditionalExpression(node)) {
    yield ['negated', node.condition, [`!(${node.condition.getText()})`]];
  } else if (ts.isWhileStatement(node) || ts.isDoStatement(node)) {
    yield ['not again', node.expression, ['false']];
  } else if (ts.isExpressionStatement(node) && isRemovable(node.expression)) {
    yield ['removed', node, [';']];
  } else if (ts.isPrefixUnaryExpression(node)) {
    yield* mistakesOfPrefix(node);
  } else if (ts.isPostfixUnaryExpression(node)) {
    const operand = node.operand.getText();
    yield ['operator', node, [node.operator === SyntaxKind.PlusPlusToken ? `${operand}--` : `${operand}++`]];
  } else if (ts.isNumericLiteral(node)) {
    yield ['number', node, besides(node.getText())];
  } else if (node.kind === SyntaxKind.TrueKeyword) {
    yield ['boolean', node, ['false']];
  } else if (node.kind === SyntaxKind.FalseKeyword) {
    yield ['boolean', node, ['true']];
  }
}

function* mistakesOfPrefix(node) {
  const operand = node.operand.getText();
  if (node.operator === SyntaxKind.ExclamationToken) yield ['not negated', node, [operand]];
  if (node.operator === SyntaxKind.MinusToken) yield ['sign', node, [operand]];
  if (node.operator === SyntaxKind.PlusPlusToken) yield ['operator', node, [`--${operand}`]];
  if (node.operator === SyntaxKind.MinusMinusToken) yield ['operator', node, [`++${operand}`]];
}

// `+` of strings: another operator gives NaN, which nobody would write.
function joinsText(node) {
  if (node.operatorToken.kind !== SyntaxKind.PlusToken) return false;
  return [node.left, node.right].some(
    (side) =>
      ts.isStringLiteralLike(side) || ts.isTemplateExpression(side) || (ts.isBinaryExpression(side) && joinsText(side)),
  );
}

function isRemovable(expression) {
  const inner =
    ts.isVoidExpression(expression) || ts.isAwaitExpression(expression) ? expression.expression : expression;
  if (ts.isCallExpression(inner)) return inner.expression.kind !== SyntaxKind.SuperKeyword;
  return ts.isBinaryExpression(inner) || ts.isPostfixUnaryExpression(inner) || ts.isPrefixUnaryExpression(inner);
}

// Is it a return, break or the like, alone?
function ends(statement) {
  const last = ts.isBlock(statement) ? statement.statements.at(-1) : statement;
  return (
    last !== undefined &&
    [ts.isReturnStatement, ts.isContinueStatement, ts.isBreakStatement, ts.isThrowStatement].some((is) => is(last))
  );
}
