import { expect, describe as group, test } from 'vitest';
import { checkOptions, describe, didYouMean, show } from '../lib/is.js';

/** A list in a list in a list, `depth` times. */
function nested(depth: number): unknown {
  let list: unknown = [];
  for (let i = 1; i < depth; i++) list = [list];
  return list;
}

group('show', () => {
  test.each<[string, unknown, string]>([
    ['a string', 'cat', '"cat"'],
    ['a long string', 'x'.repeat(70), `"${'x'.repeat(57)}..."`],
    ['a list', [1, 'a', null], '[1, "a", null]'],
    ['a long list', Array(9).fill(0), '[0, 0, 0, 0, 0, 0, 0, 0, ...]'],
    ['an object', {}, 'Object'],
    ['an object without a prototype', Object.create(null), 'Object'],
    ['an instance', new Map(), 'Map'],
    ['a class', Map, 'function Map'],
    ['a bigint', 5n, '5n'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['a constructor that is none', JSON.parse('{"constructor": {"name": {"toString": 1}}}'), 'Object'],
    ['a constructor that is null', { constructor: null }, 'Object'],
    [
      'a function whose name is no string',
      Object.defineProperty(() => 0, 'name', { value: Object.create(null) }),
      'function (anonymous)',
    ],
    ['lists without end', nested(200_000), '[[[[...]]]]'],
  ])('%s', (_what, value, expected) => expect(show(value)).toBe(expected));

  test('a list that holds itself', () => {
    const list: unknown[] = [1];
    list.push(list);
    expect(show(list)).toBe('[1, [1, [1, [...]]]]');
  });
});

test.each<[unknown, string]>([
  [undefined, 'none'],
  [null, 'null'],
  [new Map(), 'a dict'],
  [new Set(), 'a set'],
  [[1, 2], 'a list of 2'],
  [Object.freeze([1]), 'a tuple'],
  [{ a: 1 }, 'an object'],
  [new Uint8Array(2), 'Uint8Array'],
  ['x', '"x"'],
])('describe %o', (value, expected) => expect(describe(value)).toBe(expected));

group('checkOptions', () => {
  test.each<[unknown, RegExp]>([
    [null, /an object for the options of call but received null/],
    [3, /an object for the options of call but received 3/],
    [{ siganl: 1 }, /call has no option "siganl" \(did you mean "signal"\?\)/],
    [{ constructor: 1 }, /no option "constructor"/],
  ])('refuses %o', (options, message) =>
    expect(() => checkOptions('call', options, ['signal'])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    ),
  );

  test('takes what is known, and nothing', () => {
    checkOptions('call', { signal: undefined }, ['signal']);
    checkOptions('call', {}, ['signal']);
  });
});

group('didYouMean', () => {
  test.each<[string, string]>([
    ['resnet5', ' (did you mean "resnet50"?)'],
    ['RESNET18', ' (did you mean "resnet18"?)'],
    ['r', ''],
    ['vgg', ''],
  ])('%s', (word, hint) => expect(didYouMean(word, ['resnet18', 'resnet50'])).toBe(hint));

  test('a word far longer than any choice is not compared with them', () => {
    // Letter by letter this would take minutes.
    expect(didYouMean('x'.repeat(2 ** 28), ['y'.repeat(128)])).toBe('');
  });
});
