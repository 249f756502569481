"""What chat templates make of a conversation, by `transformers` and by `sip tokenize --chat`: whole templates, and one construct each."""

import json

from common import Part, Refused, save_tokenizer, shape, sip, USUAL
from transformers import AutoTokenizer, LlamaConfig

WHOLE = {
    "markers": """{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    "a date of its own": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "1 Jan 2026" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set told = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set told = "" %}
{%- endif %}
{{- "[system]\\n\\nDate: " + date_string + "\\n" + told }}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '[' + message['role'] + ']\\n\\n' + message['content'] | trim }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[assistant]' }}
{%- endif %}
""",
    "turns that alternate": """{{ bos_token }}{%- set users = messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}{%- set ns.index = 0 %}
{%- for m in messages %}{%- if (m["role"] == "user") != (ns.index % 2 == 0) %}{{- raise_exception("alternate") }}{%- endif %}{%- set ns.index = ns.index + 1 %}{%- endfor %}
{%- for m in messages %}{%- if m["role"] == "user" %}{{- "[I] " + m["content"] + "[/I]" }}{%- elif m["role"] == "assistant" %}{{- " " + m["content"]|trim + eos_token }}{%- endif %}{%- endfor %}{{ users|length }}""",
    "thoughts": """{%- set ns = namespace(last=messages|length - 1, looks=true) %}
{%- for m in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.looks and m.role == "user" and m.content is string and not(m.content.startswith('<r>') and m.content.endswith('</r>')) %}
        {%- set ns.looks = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set content = m.content if m.content is string else '' %}
    {%- if '</t>' in content %}{%- set content = content.split('</t>')[-1].lstrip('\\n') %}{%- endif %}
    {{- '<' + m.role + '>\\n' + content.strip('\\n') + (' last' if loop.index0 > ns.last else ' first') + '\\n' }}
{%- endfor %}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<t></t>' }}{%- endif %}""",
    "lines of its own": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<user>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<assistant>\n' + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<assistant>' }}
{% endif %}
{% endfor %}""",
    "marked for training": """{%- for m in messages -%}
{%- if m.role=='assistant' -%}
 {%- generation -%} {{ m.content }} {%- endgeneration -%}
{%- else %}
[{{ m.role }}] {{ m.content }}{% generation %}!{% endgeneration %}
{% endif %}
{%- endfor -%}""",
    "a macro": """{% macro turn(role, text, sep='|') -%}<{{ role }}>{{ text }}{{ sep }}{%- endmacro %}
{% for m in messages %}{{ turn(m.role, m.content) }}{{ turn(role=m.role, text='k', sep='#') }}{% endfor %}""",
    "breaks": """{% for m in messages %}{% if loop.index > 5 %}{% break %}{% endif %}{% if m.role=='x' %}{% continue %}{% endif %}{{ m.role }}:{{ m.content }}|{% endfor %}""",
}
ONE = r"""
{{ none }}|{{ true }}|{{ false }}|{{ undefinedthing }}|{{ [1,"a",none,true] }}|{{ {"a":1} }}
{{ 'Abc'.upper() }}{{ 'abc'.title() }}{{ ' x '.strip() }}{{ 'a,b'.split(',') }}{{ 'abc'.replace('b','d') }}{{ 'abc'.find('c') }}
{{ 'a'.isdigit() }}{{ 'abc'.count('b') }}{{ 'x'.join(['1','2']) }}{{ 'abc'[::-1] }}{{ 'abcdef'[1:4] }}{{ 'abc'[-1] }}
{{ '%s-%d' % ('a', 3) }}{{ '%05.2f' % 3.14159 }}{{ "%s" % messages[0].role }}{{ 7 % 4 }}
{% set x = '%s' % ('%s' % messages|length) ~ '%' %}{{ x }}{{ '100%' }}
{{ '{}-{}'.format('a', 3) }}{{ '{0}{x}'.format(1, x=2) }}{{ '%s-%s'|format('a','b') }}
{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '*') }}|{{ 'ab'.center(5, '-') }}
{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a  b c '.split() }}{{ ' a b c '.split(maxsplit=1) }}{{ ' a b c '.rsplit(none, 1) }}{{ ' a  b '.split(none, 0) }}
{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'a'.partition('=') }}{{ 'a'.rpartition('=') }}
{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('bc') }}{{ 'abc'.removeprefix('x') }}
{{ 'abcab'.find('b', 2) }}{{ 'abc'.index('c') }}{{ 'abcab'.rindex('a') }}{{ 'éaé'.rfind('é') }}{{ 'aXa'.count('a', 1) }}
{{ [1,2,3].index(2) }}{{ [1,2,1].count(1) }}{{ (1,2).index(1) }}{{ {1:'a','b':2}[1] }}
{{ "they're 2nd".title() }} {{ "they're"|title }} {{ 'aB'.swapcase() }} {{ 'Ab'.casefold() }} {{ 'aBC'.capitalize() }}
{{ 'a\nb\u2028c\n'.splitlines() }}{{ 'a\nb'.splitlines(true)|length }}{{ 'a\tb'.expandtabs(4) }}
{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ 'abc'.startswith(('x','a')) }}{{ '12'.isdecimal() }}{{ 'Ab'.istitle() }}
{{ 7//2 }},{{ 7/2 }},{{ 2**5 }},{{ 7%3 }},{{ -7//2 }},{{ 1.0 }},{{ 1e20 }},{{ 0.1+0.2 }},{{ 1e16 }},{{ 0.00001 }},{{ 123456789012345.0 }}
{{ 'a b'|capitalize }}{{ 'ab'|upper }}{{ [3,1,2]|sort }}{{ [1,2,2]|unique|list }}{{ ['a','b']|join('-') }}{{ [1,2]|sum }}{{ 'ab'|length }}
{{ [1,2]|first }}{{ [1,2]|last }}{{ 'abc'|reverse }}{{ x|default('d') }}{{ 'ab'|list }}{{ 3.7|round }}{{ '3'|int + 1 }}{{ 5|string }}{{ -3|abs }}
{{ messages|selectattr('role','equalto','user')|map(attribute='content')|join(',') }}{{ messages|rejectattr('role','equalto','user')|list|length }}
{{ [1,2,3,4]|select('greaterthan',2)|list }}{{ ['a','']|select|list }}{{ [3,1]|min }}{{ [3,1]|max }}{{ [1,2,3]|batch(2)|list }}
{% for r, g in messages|groupby('role') %}{{ r }}={{ g|length }};{% endfor %}{% for k,v in {'b':1,'a':2}|dictsort %}{{k}}{{v}}{% endfor %}
{% for k,v in messages[0].items() %}{{k}}={{v}};{% endfor %}{{ messages[0].keys()|list }}{{ messages[0].values()|list }}{% for k,v in messages[0]|items %}{{k}}{% endfor %}
{{ messages[0].get('role') }}{{ messages[0].get('zz','d') }}{{ messages[0]['zz'] is defined }}{{ 'role' in messages[0] }}{{ messages[0].copy() }}
{{ messages[0]|tojson }}{{ {'a':[1,2,{'b':none}],'é':'<>&'}|tojson }}{{ {'a':[1]}|tojson(indent=2) }}{{ [1.5,1e20,true]|tojson }}
{{ {'é':1}|tojson(ensure_ascii=False) }}{{ {'é':'🙂'}|tojson(ensure_ascii=True) }}{{ {'b':1,'a':2}|tojson(sort_keys=True) }}
{{ {'b':1,'a':[1,2]}|tojson(separators=(',',':')) }}{{ {'a':[1,{'b':[]}]}|tojson(indent=4, sort_keys=True) }}{{ [1]|tojson(indent='\t') }}{{ {1:2,none:3}|tojson }}
{{ 'a' is string }}{{ 1 is number }}{{ {} is mapping }}{{ [] is sequence }}{{ [] is iterable }}{{ none is none }}{{ 1 is odd }}{{ 3 is divisibleby(3) }}
{{ true is boolean }}{{ 1 is integer }}{{ 1.5 is float }}{{ 'a' is in ['a'] }}{{ 1 is eq 1 }}{{ true is true }}{{ 'A' is upper }}
{% set x %}[{{ messages[0].role }}]{% endset %}{{ x }}{{ x|length }}{% filter upper %}abc{% endfilter %}{% with a=1, b=2 %}{{ a+b }}{% endwith %}
{% macro d(x) %}<{{ caller() }}{{x}}>{% endmacro %}{% call d(1) %}in{% endcall %}
{% set ns=namespace(a=1,b=[]) %}{% for m in messages %}{% set ns.a=ns.a*2 %}{% set ns.b=ns.b+[m.role] %}{% endfor %}{{ ns.a }}{{ ns.b }}
{{ dict(a=1) }}{{ range(3)|list }}{{ range(1,6,2)|list }}
{% for m in messages %}{{ loop.index }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a','b') }}{{ loop.changed(m.role) }};{% else %}none{% endfor %}
{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}{{ loop.nextitem.role if loop.nextitem is defined else '-' }}{% endfor %}
{% for m in messages if m.role=='user' %}{{ loop.index }}{{ m.content }}{% endfor %}{% for a,b in [(1,2),(3,4)] %}{{a}}-{{b}};{% endfor %}{% set a,b = 1,2 %}{{ a }}{{ b }}
{% for i in [[1,[2]],[3]] recursive %}{{ i if i is number else loop(i) }}{% endfor %}
a{# c '%s' % 1 #}b{#- c -#} c{% raw %}{{ x }}{{ '%s' % 1 }}{% endraw %}{%+ if true %}x{%+ endif %}
{{ 'x' if false }}|{{ 'x' if messages|length > 1 else 'y' }}|{{ 1 < 2 < 3 }}|{{ not true }}|{{ true and 'a' or 'b' }}|{{ '' or 'b' }}
{{ 'a' ~ 1 ~ none ~ true }}{{ 'a'*3 }}{{ [1]+[2] }}{{ [0]*3 }}{{ 'a\nb'|indent(2) }}|{{ 'a\nb'|indent(2, true) }}
{{ '<b>'|e }}{{ '<b>'|safe }}{{ '<b>' }}{{ 'hello world foo'|truncate(9) }}{{ 'hello world foo'|truncate(9, true, '…', 0) }}
{{ 'a b c'|wordcount }}{{ 'x'|center(5) }}|{{ 'a b/é?'|urlencode }}{{ {'a b':'c&'}|urlencode }}{{ messages[0]|attr('role') }}
{{ tools is none }}{{ tools is defined }}{{ documents is none }}{% if tools %}T{% endif %}
{{ messages[-1].role }}{{ messages[:-1]|length }}{{ messages[::2]|length }}{{ messages[0:1][0]['role'] }}
{{ (1,2) }}{{ (1,)|length }}{{ 'a' in ('a','b') }}{{ 'x' if 'a' not in 'abc' else 'y' }}{{ messages|last }}
{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ unk_token }}|{{ image_token }}
{{ 'aXb'|replace('X','Y') }}{{ 'AB'|lower }}{{ ' a '|trim }}{{ 'xax'|trim('x') }}{{ 'a-b'|title }}
a\nb{{ 'a\nb\t\"q\'' }}{{ '\u00e9' }}é🙂{{ 'é'|length }}{{ "it's" }}{{ ["it's"] }}
""".strip().splitlines()  # fmt: skip
# Refused though `transformers` runs it, and why it is right.
REFUSED = {
    "{{ strftime_now('%Y') }}": "strftime_now",  # no date: the same conversation gives the same text on every day
}
# Refused by both.
NEITHER = [
    "{% set l=[] %}{{ l.append(1) }}", "{% do [].append(1) %}", "{{ raise_exception('no') }}", "{% include 'file' %}", "{{ missing|tojson }}",
    "{{ 'a'.index('b') }}", "{{ 1|tojson(unheard_of=1) }}", "{{ missing.role }}", "{% for m in messages %}",
]  # fmt: skip


def run(folder):
    part = Part("templates", 55)
    model = folder / "model"
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "image_token": "<|im_start|>"}
    save_tokenizer(model, USUAL, **special)
    (model / "config.json").write_text(json.dumps(LlamaConfig(**shape()).to_dict()))
    said = [{"role": "user", "content": "a b"}]
    rest = "{% for m in messages %}{{ m.content }}{% endfor %}"
    both = {**WHOLE, **{line: line + rest for line in ONE}, **{line: line for line in NEITHER}, **{line: line for line in REFUSED}}
    for name, template in both.items():
        (model / "chat_template.jinja").write_text(template)
        tokenizer = AutoTokenizer.from_pretrained(model)
        try:
            text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
            expected = tokenizer(text, add_special_tokens=False)["input_ids"]
        except Exception:
            text, expected = None, None
        try:
            found = sip("tokenize", "a b", "--chat", "--model", model)["ids"]
        except Refused as refused:
            part.refusal(name, str(refused), "cannot be run" if expected is None else REFUSED.get(name))
            continue
        part.equal(name, expected, found, f"{tokenizer.decode(found)!r}, expected {text!r}")
    return part
