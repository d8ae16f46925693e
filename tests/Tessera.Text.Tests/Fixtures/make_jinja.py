"""Makes jinja.jsonl: one template a line, with what jinja2 renders or the error it raises, in the environment that
transformers gives chat templates (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls, Python's json.dumps).

    pip install jinja2==3.1.6
    python3.11 make_jinja.py

A line is {"t": template, "e": text} or {"t": template, "err": the exception's name}. The first line is what all are given.
Rows that print an address are left out. The templates of reported-templates.txt, a line each as a Python text, were reported by users of
other tools; those below go through the arguments.
"""
import ast, datetime, json, os
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.ext import loopcontrols
import jinja2

HERE = os.path.dirname(os.path.abspath(__file__))
CONTEXT = {
    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": " hi "},
                 {"role": "assistant", "content": None, "tool_calls": [{"id": "abcdefghi", "function": {
                     "name": "f", "arguments": {"b": 1, "a": [1, 2.5, None, True, "x/y — é <&>'\""]}}}]},
                 {"role": "tool", "content": "42"}, {"role": "user", "content": "bye"}],
    "tools": [{"type": "function", "function": {"name": "get", "description": "δ \"q\" \n", "parameters": {
        "type": "object", "properties": {"z": {"type": "string"}, "a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["z"]}}}],
    "variables": {"u": [{"n": "Jo", "a": 3}, {"n": "al", "a": 9}, {"n": "Bo", "a": 3}], "s": "Hello World", "none": None,
                  "d": {"b": 1, "a": 2, "B": 3}, "f": 2.5, "i": 7, "e": "", "l": [3, 1, 2], "t": True, "uni": "straße ǅ ﬁ İ",
                  "bos_token": "<s>", "eos_token": "</s>"},
}

# Reported templates that are left out: a character by its Unicode name, which takes Unicode's table of names; the filter pprint, which is
# refused; include, which is an unknown tag here before there could be a missing loader.
LEFT_OUT = ["\\N{", "pprint", "include"]

# An expression a line; each is printed by a template of its own.
EXPRESSIONS = r"""
'abcabc'.startswith('c', 2)
'abcabc'.startswith('c', -1)
'abcabc'.startswith(('x', 'bc'), 1, 3)
'abcabc'.startswith('bc', 1, 2)
'abcabc'.startswith('', 6)
'abcabc'.startswith('', 7)
'abcabc'.endswith('b', 0, 2)
'abcabc'.endswith(('b', 'x'), 0, -1)
'abcabc'.endswith('', 7)
'abcabc'.endswith('c', 6)
'abc'.startswith()
'abc'.startswith('a', 0, 1, 2)
'abc'.startswith(['a'])
'abc'.startswith(prefix='a')
'abc'.startswith(1)
'abc'.startswith(('a', 1))
'abc'.startswith(('x', 1))
'abc'.startswith('a', 'b')
'abc'.startswith('a', none, none)
'abc'.startswith('a', 0.0)
'abcabc'.find('a', 1)
'abcabc'.find('c', 1, 2)
'abcabc'.find('c', -2)
'abcabc'.find('', 3)
'abcabc'.find('', 9)
'abcabc'.find('', -9)
'𝒳bc𝒳bc'.find('b', 2)
'𝒳bc𝒳bc'.find('𝒳', 1)
'𝒳bc𝒳bc'.rfind('b', 0, 4)
'abcabc'.rfind('a', 0, 3)
'abcabc'.rfind('a', 1, 3)
'abcabc'.rfind('', 0, 3)
'abcabc'.index('a', 1)
'abcabc'.index('z')
'abcabc'.rindex('a')
'abcabc'.rindex('a', 4)
'abcabc'.count('a', 1)
'abcabc'.count('', 2)
'abcabc'.count('', 2, 4)
'abcabc'.count('', 7)
'aaaa'.count('aa')
'aaaa'.count('a', -2, -1)
'x'.center(6, '*')
'xy'.center(5, '*')
'x'.center(6)
'xyz'.center(6, '-')
'x'.center(4, '')
'x'.center(4, 'ab')
'x'.center()
'x'.center('4')
'x'.center(width=4)
'x'.center(-4)
'x'.ljust(3, '.')
'x'.ljust(3)
'x'.rjust(3, '.')
'x'.rjust()
'x'.rjust(3, '𝒳')
'-5'.zfill(4)
'+5'.zfill(4)
'5'.zfill(4)
''.zfill(2)
'-'.zfill(3)
'--5'.zfill(5)
'12345'.zfill(4)
'5'.zfill()
'a\nb\r\nc'.splitlines(true)
'a\nb\r\nc\n'.splitlines()
'a\n\nb\n'.splitlines(keepends=true)
'a\x0bb\x0cc\x1cd\x85e\u2028f'.splitlines()
''.splitlines()
'\n'.splitlines()
'a\rb'.splitlines(1)
'a\nb'.splitlines(keep=true)
'a\nb'.splitlines(true, false)
'a b c'.split(' ', 1)
'a b c'.split(sep=' ', maxsplit=1)
'a b c'.split(maxsplit=1)
'  a b  c '.split(none, 1)
'  a b  c '.split(none, 0)
'  a b  c '.split()
'a,b'.split('')
'a,b'.split(1)
'a,b'.split(',', 1, 2)
'a,b'.split(',', limit=1)
'a b  c '.rsplit()
' a b  c '.rsplit(none, 1)
'a,b,c'.rsplit(',', 1)
'a,b,c'.rsplit(',', maxsplit=1)
'a,b,c'.rsplit(',', 0)
'aXbXc'.partition('X')
'abc'.partition('')
'abc'.partition()
'abc'.partition('b', 1)
'aXbXc'.rpartition('X')
'abc'.rpartition('x')
'xxabcxx'.strip('x')
'abcba'.strip('ab')
'  a '.strip(none)
'a'.strip(1)
'a'.strip('a', 'b')
'a'.strip(chars='a')
'xa'.lstrip('x')
'ax'.rstrip('x')
'𝒳a𝒳'.strip('𝒳')
'\x1c a\x85'.strip()
'\u200b a \ufeff'.strip()
'aaa'.replace('a', 'b', 2)
'aaa'.replace('a', 'b', -1)
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
''.replace('', '-')
'aaa'.replace('a')
'aaa'.replace('a', 'b', count=1)
'aaa'.replace('a', 1)
'aaa'.replace('a', 'b', 1, 2)
'aaa'.replace('a', 'b', 'c')
','.join(['a', 'b'])
','.join('abc')
','.join({'a': 1, 'b': 2})
','.join([1])
','.join()
','.join(['a'], ['b'])
','.join(1)
'abc'.upper(1)
'abc'.lower(x=1)
'aBc'.swapcase()
'straße ǅ ﬁ'.swapcase()
'straße'.casefold()
'ΑΣ Σ'.lower()
'ΑΣ'.casefold()
"they're bill's x1y".title()
'abc'.title(1)
'abc'.capitalize(1)
'abc'.removeprefix('ab')
'abc'.removeprefix('')
'abc'.removeprefix()
'abc'.removeprefix('a', 'b')
'abc'.removesuffix('bc')
'abc'.removesuffix(1)
'a\tb'.expandtabs(4)
'a\tb'.expandtabs()
'a\tb\n\tc'.expandtabs(tabsize=2)
'a\tb'.expandtabs(0)
'²'.isdigit()
'²'.isdecimal()
'٣'.isdecimal()
'½'.isnumeric()
'½'.isdigit()
'½'.isalnum()
'ab1'.isalnum()
''.isalpha()
'ⅷ'.isalpha()
'𝒳'.isalpha()
'ǅ'.istitle()
'Hello World'.istitle()
'Hello world'.istitle()
'HELLO'.istitle()
'ab'.islower()
'a1'.islower()
'1'.islower()
'ⅷ'.islower()
'ª'.islower()
'AB'.isupper()
'Ab'.isupper()
'ab_1'.isidentifier()
'1ab'.isidentifier()
'abc'.isascii()
'é'.isascii()
'a\n'.isprintable()
''.isprintable()
' \t'.isspace()
''.isspace()
'\x1c'.isspace()
'abc'.isdigit(1)
'abc'.nosuch()
'abc'.nosuch
'abc'.translate({97: 'x', 98: none})
'abc'.upper().lower().title()
'{}'.format(1)
'{0} {1} {0}'.format('a', 'b')
'{} {0}'.format('a')
'{0} {}'.format('a')
'{a} {b}'.format(a=1, b='x')
'{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c')
'{:*^7}'.format('x')
'{:05d}'.format(42)
'{:+d} {: d} {:-d}'.format(1, 2, 3)
'{:,}'.format(1234567)
'{:_}'.format(1234567)
'{:x} {:X} {:o} {:b} {:#x} {:#b} {:#o}'.format(255, 255, 8, 5, 255, 5, 8)
'{:08.3f}'.format(3.14159)
'{:.2f}'.format(2)
'{:.1%}'.format(0.256)
'{:e} {:E}'.format(12345.678, 0.00012)
'{:g} {:g} {:g} {:g}'.format(100000.0, 1000000.0, 0.0001, 0.00001)
'{:.3g}'.format(1234.5)
'{:c}'.format(97)
'{:.3}'.format('abcdef')
'{:.3}'.format(3.14159)
'{:5}'.format(3)
'{:5}|'.format('a')
'{:<5}|'.format(3)
'{:=+6d}'.format(3)
'{:,.2f}'.format(1234567.891)
'{:010,}'.format(1234)
'{!r} {!s} {!a}'.format('é', 'é', 'é')
'{!r:>6}'.format('a')
'{[0]} {a[k]}'.format([1, 2], a={'k': 3})
'{0.real}'.format(3)
'{{}} {}'.format(1)
'{:{}}|'.format('a', 4)
'{:{w}.{p}f}'.format(3.14159, w=8, p=2)
'{:d}'.format(1.5)
'{:d}'.format('a')
'{:s}'.format(1)
'{:.2d}'.format(3)
'{:q}'.format(3)
'{}'.format()
'{a}'.format()
'{'.format(1)
'}'.format(1)
'{!x}'.format(1)
'{:5}'.format(none)
'{}'.format(none)
'{:5}'.format(true)
'{}'.format(true)
'{:d}'.format(true)
'{:5}'.format([1])
'{} {}'.format([1], {'a': 1})
'{}'.format(1.0)
'{:<05}'.format(3)
'{:z}'.format(1)
'{a}'.format_map({'a': 1})
'%s %r' % ('a', 'a')
'%5s|%-5s|%.2s' % ('a', 'b', 'cde')
'%d %i %u' % (3, 4.7, true)
'%05d|%+d|% d|%-5d|' % (3, 3, 3, 3)
'%x %X %o %#x %#o' % (255, 255, 8, 255, 8)
'%f %.1f %e %g %G %E' % (1.5, 2.25, 3.5, 1e-5, 1e-5, 1.5)
'%c%c' % ('a', 98)
'%%' % ()
'%(a)s %(b)05d' % {'a': 1, 'b': 2}
'%*d' % (5, 3)
'%.*f' % (2, 3.14159)
'%d' % 'a'
'%x' % 1.5
'%s %s' % 'a'
'%s' % ('a', 'b')
'%q' % 1
'%' % 1
'%a' % 'é'
'%c' % 'ab'
'%-05d|' % 3
'%.3d' % 5
'%g %g' % (0.1, 123456789)
'%s' % [1, 2]
'%r' % none
'%05s' % 'a'
'%+.2e' % 12345.6789
'%ld' % 3
d.get('a', 5)
d.get('zz', 5)
d.get()
d.get('a', 1, 2)
d.get(key='a')
d.keys(1)
d.items(1)
d.copy()
d.nosuch
d.nosuch()
d.update(a=1)
d.setdefault('a', 1)
d.fromkeys(['a', 'b'], 1)
l.index(1)
l.index(1, 1)
l.index(1, 2)
l.index(9)
l.count(1)
l.count()
l.count(1, 2)
l.copy()
(1, 2).count(1)
(1, 2).index(2)
(1, 2).copy()
l.sort()
l.reverse()
range(3)
range()
range(1, 2, 3, 4)
range(1.5)
range(3)|list|length
range(3).count(1)
range(0, 10, 3)[1]
range(2) == range(2)
dict(a=1).a
dict([['a', 1]])
dict(1)
dict([1])
dict({}, {})
dict(**d)
namespace(a=1)
namespace({'a': 1}, b=2).b
namespace(1)
cycler('a', 'b').next()
cycler()
joiner() is callable
(cycler('a', 'b')).current
raise_exception()
raise_exception('a', 'b')
raise_exception(message='m')
1 + raise_exception
strftime_now()
i.bit_length()
f.is_integer()
i.real
(3).numerator
-7|abs
'a'|abs
true|abs
'a'|abs(1)
d|attr('items') is callable
d|attr('nosuch') is defined
d|attr('a') is defined
l|batch
l|batch(2)
l|batch(2)|list
l|batch(2, none)|list
l|batch(2, fill='x')|list
l|batch(0)|list
l|batch(linecount=2, fill_with='-')|list
l|batch(2, 1, 3)|list
'hELLO'|capitalize
'x'|capitalize(1)
'x'|center(5)
'x'|center(width=5) ~ '|'
'x'|center(5, '*')
'abc'|center ~ '|'
i|center(5) ~ '|'
l|count
l|length(1)
none|default('x')
none|default('x', true)
none|default('x', boolean=true)
''|d('y', true)
missing|default
missing|default('a', false, 1)
missing|default(default='x')
d|dictsort
d|dictsort(true)
d|dictsort(false, 'value')
d|dictsort(by='value', reverse=true)
d|dictsort(case_sensitive=true, by='key', reverse=true)
d|dictsort(by='x')
l|dictsort
'<a>'|e
'<a>'|escape ~ '<b>'
('<a>'|escape)|escape
('<a>'|safe)|escape
('<a>'|e)|forceescape
('<a>'|safe) ~ '&'
'<a>'|e|upper
'<a>'|e|length
1234|filesizeformat
1234567|filesizeformat(true)
1|filesizeformat
0|filesizeformat
1000|filesizeformat(binary=false)
l|first
''|first
none|first
d|first
l|first(1)
'1.5'|float
'x'|float(2.0)
'x'|float
'x'|float(default='q')
none|float
l|float
'1_0'|float
'0x10'|float
'inf'|float
'%s-%s'|format('a', 'b')
'%(a)s'|format(a=1)
'%s %(a)s'|format('x', a=1)
'%s'|format
u|groupby('a')|list
u|groupby('n', case_sensitive=true)|list
[{'n': 'b'}, {'n': 'B'}, {'n': 'a'}]|groupby('n')|list
[{'c': 'x'}, {'q': 1}]|groupby('c', default='zz')|list
[{'c': 'x'}, {'q': 1}]|groupby('c')|list
(u|groupby('a'))[0].grouper
(u|groupby('a'))[0].list|length
u|groupby
u|groupby('a', 'b', false, 1)
u|groupby(attribute='a')|map('first')|list
'a\nb'|indent
'a\nb'|indent(2)
'a\nb'|indent(2, true)
'a\n\nb'|indent(2, false, true)
'a\nb'|indent(width='> ', first=true)
'a\nb\n'|indent(2) ~ '|'
''|indent(2, true) ~ '|'
'a\nb'|indent(indentfirst=true)
'a\nb'|indent(2, true, true, 1)
i|indent(2)
'42'|int
'x'|int(5)
'x'|int(default=6)
'0x1F'|int(0, 16)
'0b101'|int(0, 2)
'0o17'|int(0, 8)
'0x1F'|int(base=0)
'z'|int(base=36)
'12'|int(base=3)
'19'|int(7, 8)
3.9|int
'3.9'|int
'1e2'|int
none|int
'1_000'|int
'inf'|int
' 5 '|int
'-5'|int(0, 10)
'5'|int(0, 10, 1)
d|items|list
l|items
missing|items|list
l|join
l|join('-')
l|join(d='-')
u|join('-', 'n')
u|join('-', attribute='n')
u|join(attribute='a')
l|join('-', 'n', 1)
'abc'|join('.')
1|join
none|join
l|last
''|last
d|last
l|length
none|length
3|length
'abc'|list
d|list
none|list
'ABC'|lower
'ABC'|lower(1)
u|map(attribute='n')|list
u|map(attribute='z')|list
u|map(attribute='z', default='-')|list
u|map('attr', 'n')|list
['a', 'b']|map('upper')|list
['a', 'b']|map('replace', 'a', 'x')|list
[1, none]|map('default', 0, true)|list
[[1, 2], [3]]|map('join', '-')|list
['a']|map()|list
['a']|map(foo=1)|list
u|map(attribute='n', foo=1)|list
['a']|map
['a']|map('nosuch')|list
l|max
l|min
['b', 'A']|max
['b', 'A']|max(case_sensitive=true)
['b', 'A']|min(true)
u|max(attribute='a')
u|min(attribute='n')
[]|max
[]|min is defined
['a', 1]|max
l|max(false, 'a', 1)
[1, 2, 3, 4]|reject('even')|list
[1, 2, 3, 4]|reject('divisibleby', 3)|list
[0, 1]|reject|list
u|rejectattr('a', 'eq', 3)|list
u|rejectattr('a')|list
u|rejectattr|list
'aaa'|replace('a', 'b')
'aaa'|replace('a', 'b', 2)
'aaa'|replace(old='a', new='b', count=1)
'aaa'|replace('a')
'a1'|replace(1, 2)
'aaa'|replace('a', 'b', 1, 2)
'aaa'|replace('a', 'b', none)
'aaa'|replace('a', 'b', -1)
'aaa'|replace('a', 'b', 0)
'abc'|replace('', '.')
'abc'|reverse
l|reverse|list
d|reverse|list
l|reverse
3|reverse
2.567|round
2.567|round(1)
2.567|round(precision=2, method='floor')
2.567|round(1, 'ceil')
2.567|round(1, 'x')
-2.5|round
25|round(-1)
42|round
42.5|round(0)
0.15|round(1)
2.675|round(2)
1e300|round(400)
1.5|round(0, 'common', 1)
'a'|round
true|round
7|round(2)
7|round(1, 'floor')
'<a>'|safe
[1, 2, 3]|select('odd')|list
[1, 2, 3]|select('gt', 1)|list
[1, 2, 3]|select('nosuch')|list
[0, 1]|select|list
[1, 2]|select('gt')|list
u|selectattr('a', 'gt', 3)|list
u|selectattr('a')|list|length
u|selectattr('a', 'eq', 3)|map(attribute='n')|list
u|selectattr('z', 'defined')|list
u|selectattr|list
u|selectattr(1)|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
[1, 2, 3]|slice(slices=2, fill_with=0)|list
[1, 2, 3]|slice|list
[1, 2, 3]|slice(0)|list
l|sort
l|sort(true)
l|sort(reverse=true)
['b', 'A', 'c']|sort(false, true)
['b', 'A', 'c']|sort(case_sensitive=true)
u|sort(attribute='n')|map(attribute='n')|list
u|sort(attribute='a,n')|map(attribute='n')|list
u|sort(false, false, 'a')|map(attribute='n')|list
[none, 1]|sort
'bca'|sort
d|sort
l|sort(key='a')
l|sort(true, false, none, 1)
3|string
none|string
missing|string
'<b>a</b>  c'|striptags
'&lt;a&gt; &amp; <!-- x --> b'|striptags
l|sum
u|sum('a')
u|sum(attribute='a', start=10)
[]|sum
['a']|sum
['a']|sum(start='')
[[1], [2]]|sum(start=[])
[1.5, 2]|sum
l|sum(none, 10)
l|sum(none, 10, 1)
'foo bar-baz (qux) x1y "quo"'|title
"it's"|title
'ab'|title(1)
d|tojson
d|tojson(indent=1)
d|tojson(false, 2)
d|tojson(sort_keys=true)
d|tojson(foo=1)
'é'|tojson(true)
'é'|tojson(ensure_ascii=true)
d|tojson(separators=(';', '='))
d|tojson(indent='  ')
[]|tojson(indent=2)
{}|tojson(indent=2)
[[], {}]|tojson(indent=2)
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
{(1, 2): 3}|tojson
(1, 2)|tojson
'\x7f\u2028/'|tojson
d|tojson(indent=0)
' a '|trim
'xax'|trim('x')
'xax'|trim(chars='x')
' a '|trim('', 1)
i|trim
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foo bar baz qux'|truncate(9, end='>', leeway=0)
'foo bar baz qux'|truncate(length=6, killwords=true, end='~', leeway=0)
'foo bar'|truncate(2)
'foo bar'|truncate(2, end='')
'foo bar'|truncate(2, leeway=0, end='...')
'foo bar'|truncate(3, false, '...', 0, 1)
'foo bar'|truncate('x')
['b', 'B', 'a']|unique|list
['b', 'B', 'a']|unique(true)|list
['b', 'B', 'a']|unique(case_sensitive=true)|list
u|unique(attribute='a')|list
u|unique(false, 'a')|map(attribute='n')|list
[[1], [1]]|unique|list
l|unique
'abc'|upper(1)
'a b&c/d?e=é~*()!'|urlencode
{'a b': 'c&d', 'e': 1}|urlencode
[['a', 1], ['b', 'x y']]|urlencode
3|urlencode
'a b'|urlencode(1)
'foo bar, baz'|wordcount
"it's x-y z_1"|wordcount
''|wordcount
i|wordcount
'one two three four'|wordwrap(9)
'one two three four'|wordwrap(9, true, '|')
'abcdefghijkl'|wordwrap(5, wrapstring='|')
'abcdefghijkl'|wordwrap(5, false, '|')
'a\n\nb c'|wordwrap(3)
1 is boolean
true is boolean
cycler is callable
range is callable
s is callable
s is defined
missing is defined
missing is undefined
7 is divisibleby 7
7 is divisibleby(2)
7 is divisibleby
7 is divisibleby(num=7)
7 is divisibleby(0)
'a' is escaped
('a'|safe) is escaped
4 is even
3.0 is even
'a' is even
'upper' is filter
'nosuch' is filter
1.0 is float
1 is in [1, 2]
1 is in 3
1 is in
1 is integer
true is integer
l is iterable
1 is iterable
d is iterable
missing is iterable
'ab' is lower
'a1' is lower
'1' is lower
1 is lower
d is mapping
l is mapping
namespace(a=1) is mapping
none is none
missing is none
1.5 is number
'1' is number
true is number
3 is odd
none is sameas none
'a' is sameas 'a'
1 is sameas(1)
l is sameas l
[1] is sameas [1]
s is sequence
d is sequence
1 is sequence
missing is sequence
range(3) is sequence
s is string
1 is string
('a'|safe) is string
'odd' is test
'nosuch' is test
true is true
1 is true
false is false
'AB' is upper
'A1' is upper
'Ab' is upper
1 is eq 1
1 is equalto(1)
1 is ne 2
1 is lt 2
1 is le 1
2 is gt 1
2 is ge 3
1 is greaterthan(0)
1 is lessthan 5
1 is eq
1 is eq(1, 2)
1 is odd(1)
1 is defined(2)
'A' is upper(1)
missing|upper ~ '|'
missing|length
missing|list
missing|first
missing.x
missing['x']
missing[0]
missing()
-missing
missing == missing
missing < 1
missing in l
1 in missing
missing ~ 'x'
missing + 1
not missing
missing or 'x'
l.0
l['a'] is defined
l[9] is defined
l['0'] is defined
d[l]
s.0
s['upper']()
d['items'] is callable
{'items': 1}.items
{'items': 1}['items']
5[0] is defined
none.x is defined
none['x']
none[0] is defined
s[1.5] is defined
l[true]
l[none] is defined
l[1:'a']
l[::0]
l[none:none:none]
none[1:]
d[1:]
1 ~ none ~ [1]
'a' * 3
3 * [1]
'a' * -1
'a' * 1.5
[1] + (2,)
(1,) + (2,)
[1] + 'a'
d + d
none + 1
'a' - 'b'
1 + true
true + true
2 ** 0.5
0 ** 0
(-8) ** 2
0 ** -1
7 // 0
7 % 0
7.5 // 2
-7.5 % 2
7 // -2
7 % -3
-7.0 // 2
1 / 3
1e16 + 1
10 ** 20
1.0 * 3
0.1 + 0.2
1 == 1.0
1 == true
'1' == 1
[1, 2] == (1, 2)
[1, 2] < [1, 2, 3]
(1, 2) < (1, 3)
'a' < 1
none < 1
none == false
d == {'a': 2, 'b': 1, 'B': 3}
{'a': 1} < {'a': 2}
1 < 2 < 3 > 2
1 in [1.0]
'a' in 'abc'
1 in 'abc'
'a' in d
1 in 5
none in [none]
'' in 'abc'
not 1 == 2
1 if false
(1 if false) is defined
[1, 2,]
(1,)
()
{}
{'a': 1, 'a': 2}
{1: 'a', 1.0: 'b', true: 'c'}
{[1]: 2}
{none: 1}
'\x41\u0042\U00000043\103\0'
'a\
b'
'\q'
1_000
0x1f
0b11
0o17
1.5e3
1e-3
.5
1.
"a" 'b'
true and 0
none or ''
1,
1, 2
"""

TEMPLATES = [
    "{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}",
    "{% set j = joiner('; ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set j = joiner() %}{{ j() }}a{{ j() }}b",
    "{% set j = joiner(sep='|') %}{{ j() }}a{{ j() }}b{{ j() }}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.cycle(1) }}{% endfor %}",
    "{% for x in l %}{{ loop.cycle() }}{% endfor %}",
    "{% for x in l %}{{ loop.changed() }}{{ loop.changed(x, 1) }}{% endfor %}",
    "{% for x in l %}{{ loop.nosuch is defined }}{% endfor %}",
    "{% for x in l %}{{ loop.nosuch.x }}{% endfor %}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(b=3, a=1) }}{{ m() }}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1, 2, 3) }}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1, c=3) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}",
    "{% macro m(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ m(1, z=3) }}",
    "{% macro m(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ caller('x') }}{% endmacro %}{% call(y) m(1) %}[{{ y }}]{% endcall %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{% call m(1) %}x{% endcall %}",
    "{% macro m(a) %}{{ caller() }}{% endmacro %}{% call m(1) %}x{% endcall %}",
    "{% macro m(a) %}{{ caller(1, 2) }}{% endmacro %}{% call(x) m(1) %}{{ x }}{% endcall %}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m(a) %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}",
    "{% set x %}<b>{% endset %}{{ x }}{{ x|length }}",
    "{% filter replace('a', 'b') %}banana{% endfilter %}",
    "{% filter upper|replace('A', 'x') %}banana{% endfilter %}",
    "{% for a, b in d.items() %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in l %}{{ a }}{% endfor %}",
    "{% for a in 5 %}{{ a }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{% else %}none{% endfor %}",
    "{% for x in [] %}{% else %}empty{% endfor %}",
    "{% set ns = namespace(a=1) %}{% set ns.b = 2 %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}",
    "{% set x = 1 %}{% set x.a = 2 %}",
    "{% set a, b = 1 %}",
    "{% set a, b = [1, 2] %}{{ b }}{{ a }}",
    "{% with x = 1 %}{{ x }}{% endwith %}{{ x is defined }}",
    "{% if l is iterable and l is not mapping %}y{% endif %}",
    "{%- if true -%} a {%- endif -%} b",
    "{% if 1 %}a{% elif 2 %}b{% else %}c{% endif %}",
]


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(format):
    return datetime.datetime(2026, 11, 22, 9, 5, 7).strftime(format)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = strftime_now
    return made


def render(template):
    try:
        text = environment().from_string(template).render(
            messages=CONTEXT["messages"], tools=CONTEXT["tools"], documents=None, add_generation_prompt=True, **CONTEXT["variables"])
        return {"t": template, "e": text}
    except Exception as error:
        return {"t": template, "err": type(error).__name__, "says": str(error)[:120]}


def main():
    with open(os.path.join(HERE, "reported-templates.txt"), encoding="utf-8") as f:
        reported = [ast.literal_eval(line) for line in f if line.strip() and not any(own in line for own in LEFT_OUT)]
    printed = ["{{ " + line + " }}" for line in EXPRESSIONS.replace("\\\nb", "\\nb").split("\n") if line]
    with open(os.path.join(HERE, "jinja.jsonl"), "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(CONTEXT, ensure_ascii=False) + "\n")
        for template in [*reported, *printed, *TEMPLATES]:
            row = render(template)
            if " at 0x" not in row.get("e", ""): f.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
