// Rules as users write them, checked, copied, with defaults filled in: nothing that is changed later changes a server.
import * as errors from '../../base/errors.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { validateObject, validateOneOf } from '../../base/validate.js';
import { type CheckedAction, checkAction } from './check-action.js';
import { type CheckedMatch, checkMatch } from './check-match.js';
import { type DefaultAction, NAME_LENGTH_MAX, RULES_MAX } from './types.js';

export interface CheckedRule {
  name: string;
  match: CheckedMatch;
  action: CheckedAction;
}

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT; the message begins with the
 * rule: `rules[3] "dns": The value of "match.length.min" …`
 */
export function checkRules(rules: unknown): CheckedRule[] {
  if (!Array.isArray(rules)) throw errors.invalidArgType('options.rules', 'an instance of Array', rules);
  if (rules.length > RULES_MAX) throw errors.outOfRange('options.rules.length', `<= ${RULES_MAX}`, rules.length);
  const indices = new Map<string, number>();
  return Array.from(rules, (rule, index) => {
    try {
      const checked = checkRule(rule, index);
      const other = indices.get(checked.name);
      if (other !== undefined) {
        throw errors.invalidArgValue('name', checked.name, `is that of rules[${other}], too`, 'property');
      }
      indices.set(checked.name, index);
      return checked;
    } catch (error) {
      throw errors.withContext(error as Error, describeRule(rule, index));
    }
  });
}

export function checkOtherwise(otherwise: unknown): DefaultAction {
  validateOneOf(otherwise, 'options.otherwise', ['echo', 'drop', 'deliver'] as const);
  return otherwise;
}

function checkRule(rule: unknown, index: number): CheckedRule {
  validateObject(rule, 'rule');
  refuseUnknown(rule, 'rule', ['name', 'match', 'action']);
  const { name = `#${index}`, match = {}, action } = rule as { name?: unknown; match?: unknown; action?: unknown };
  if (typeof name !== 'string') throw errors.invalidArgType('name', 'of type string', name, 'property');
  if (name.length < 1 || name.length > NAME_LENGTH_MAX) {
    throw errors.outOfRange('name.length', `>= 1 && <= ${NAME_LENGTH_MAX}`, name.length);
  }
  const checkedMatch = checkMatch(match);
  return { name, match: checkedMatch, action: checkAction(action, checkedMatch) };
}

/** `rules[3] "dns"` */
export function describeRule(rule: unknown, index: number): string {
  const name = (rule as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string'
    ? `rules[${index}] ${JSON.stringify(name.slice(0, NAME_LENGTH_MAX))}`
    : `rules[${index}]`;
}
