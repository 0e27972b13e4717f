"""Writes cases.json: chat templates and what Jinja renders from them, set up as transformers does.

Usage: python make_cases.py   (needs jinja2); make_cases.py FOLDER OUTPUT writes the same conversations for every *.jinja of a
folder, for RETORT_CHAT_CASES of chat_template_test. The templates are our own, in the constructs that the published ones of
SmolLM2, Qwen2.5, TinyLlama/Zephyr, Llama 2, Llama 3, Llama 3.1 and Mistral use.
"""
import datetime
import json
import pathlib
import sys

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])

    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return env


CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
Be brief and kind.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'Answer well.' }}
    {%- endif %}
    {{- "\\n\\nTools:" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "<|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nAnswer well.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{{- tool_call.arguments | tojson }}{{- '}' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must take turns: user, assistant, user, assistant') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>

'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>

' }}{% endif %}"""

LLAMA31 = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message goes into its own slot. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message + builtin tools #}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time.") }}
        {%- endif %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- Users and assistants take turns; tool messages don't count. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("Roles must take turns, after an optional system message") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] " + (tools | tojson) + "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user, assistant and system roles") }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}"""

MACROS = """{%- macro header(role, mark='|') -%}
<{{ mark }}{{ role }}{{ mark }}>
{%- endmacro -%}
{% macro boxed(title) %}[{{ title }}: {{ caller() }}]{% endmacro %}
{%- for m in messages if m.role != 'system' -%}
{{ header(m.role) }}{{ header(role=m.role, mark='#') }}{{ m.content|upper }};
{%- else -%}
nobody
{%- endfor %}
{% call boxed('note') %}{{ messages|length }} messages{% endcall %}
{% generation_like is defined %}"""

CONVERSATIONS = {
    "one": [("user", "Hello, wörld!")],
    "system": [("system", "You are terse."), ("user", "  What is 2+2? \n"), ("assistant", " 4 "), ("user", "And 3+3?")],
    "no_turns": [("user", "a"), ("user", "b")],
    "empty": [],
    "tags": [("user", "{{ 1 }} {% if %} <|im_end|> \"quotes\" 'single' \\n\ttab"), ("assistant", "")],
}

SNIPPETS = [
    # whitespace
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a {%- if true -%}  b  {%- endif -%} c", "x\n{{ 1 }}\ny\n\n",
    "  {%+ if true %}\n a {% endif %}", "{# c #}\nline", "  {# c #}  \nline", "a{#- c -#}   b", "{% if true +%}\nb{% endif %}",
    "{% raw %}{{ x }} {% y %}{% endraw %}\nz", "a\n{%- raw -%}\n {{ q }} \n{%- endraw -%}\n b", "\n\n{% set x = 1 %}\n\n{{ x }}",
    "{{- ' a ' -}}   b", "\t{% for i in [1] %}\t{{ i }}\n\t{% endfor %}\t", "a\r\nb\rc",
    # literals and operators
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }}",
    "{{ 1.0 }} {{ 1e3 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 1e20 }} {{ 1.5e-7 }}", "{{ 'a' 'b' ~ 1 ~ none ~ true ~ 2.50 }}",
    "{{ not true or true and false }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ '1' == 1 }}",
    "{{ 'b' in 'abc' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 3 not in [1] }} {{ 'x' in y }}",
    "{{ [1, 'a', none, true, 1.5, {'k': 'v'}, [2]] }} {{ {'a': 1, 'b': \"it's\"} }} {{ 'q\"' }} {{ ['q\"', \"it's\", 'n\\nl'] }}",
    "{{ 'yes' if x else 'no' }} {{ 'yes' if true }} {{ 'yes' if false }}|", "{{ (1, 2)[0] }} {{ [1, 2][-1] }} {{ 'abc'[1] }} {{ 'äöü'[1:] }}",
    "{{ [1,2,3,4][1:3] }} {{ [1,2,3,4][::-1] }} {{ [1,2,3][:-1] }} {{ [1,2,3][-2:] }} {{ 'abcdef'[::2] }} {{ 'abc'[5:] }} {{ [1,2,3][::-2] }}",
    "{{ 'a\\tb\\x41\\u00e9\\\\' }} {{ \"it's\" }}", "{{ 'ab' * 3 }} {{ [0] * 3 }} {{ 3 * 'x' }} {{ 'a' * -1 }}|", "{{ [1] + [2] }} {{ 'a' + 'b' }}",
    "{{ +5 }} {{ -5 }} {{ - 5 | abs }} {{ -5 | abs }}", "{{ 1 if 2 > 1 else 3 if false else 4 }}", "{{ true and 'a' or 'b' }} {{ '' or 'c' }} {{ 0 and x.y }}",
    "{{ true + 1 }} {{ true == 1 }} {{ True }} {{ None }} {{ False }}", "{{ {'a': {'b': 1}}['a']['b'] }} {{ {'a': {'b': 1}}.a.b }}",
    # undefined and errors
    "{{ x }}|{{ x is defined }}|{{ x is undefined }}|{{ x|default('d') }}|{{ ''|default('d', true) }}|{{ x|d('z') }}", "{{ x.y }}", "{{ x['y'] }}",
    "{{ messages[99] }}|{{ messages[99] is defined }}", "{{ messages[99].role }}", "{{ none.x is defined }}", "{{ 1 + 'a' }}", "{{ 'a' < 1 }}", "{{ x + 1 }}", "{{ 1 / 0 }}",
    "{{ nothing() }}", "{% for a in 5 %}{% endfor %}", "{{ 'abc'|nofilter }}", "{{ 1 is notest }}", "{% if %}{% endif %}", "{% if true %}", "{{ 1", "{% endif %}", "{{ 'a }}",
    "{{ raise_exception('my words') }}", "{% set x.y = 1 %}", "{{ range(1000000) }}", "{% unknown %}", "{{ [].append(1) }}", "{{ }}", "{{ 1 2 }}", "{{ messages|length is 1 }}",
    # statements
    "{% for a, b in {'x': 1, 'y': 2}.items() %}{{ a }}={{ b }}{{ ',' if not loop.last }}{% endfor %}", "{% for k in {'x': 1, 'y': 2} %}{{ k }}{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3, 0, -1) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for i in [1,2,3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in [1,2,3,4] if i is even %}{{ i }}/{{ loop.length }} {% endfor %}", "{% for a in [1,2] %}{% for b in [3] %}{{ loop.depth }}{{ a }}{{ b }} {% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(n=0) %}{% for i in [1,2,3] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "{% if true %}{% set y = 2 %}{% endif %}{{ y }}", "{% set a, b = 1, 2 %}{{ b }}{{ a }}", "{% set t %}block {{ 1 }}{% endset %}[{{ t }}]", "{% set t | upper %}abc{% endset %}{{ t }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "{% filter upper %}abc {{ 'x' }}{% endfilter %}", "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=4, a=5) }} {{ m() }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}",
    "{% for i in [1] %}{% set inner = 3 %}{% endfor %}{{ inner is defined }}", "{% if false %}a{% elif true %}b{% else %}c{% endif %}{% if false %}a{% else %}d{% endif %}",
    "{% macro box() %}<{{ caller('x') }}>{% endmacro %}{% call(v) box() %}{{ v }}!{% endcall %}", "{% for x in 'äb' %}{{ x }}.{% endfor %}",
    # filters
    "{{ '  a b '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ 'abc'|length }}|{{ [1,2]|count }}|{{ 'ÄÖ'|length }}", "{{ [1,2,3]|join(', ') }} {{ ['a']|join }} {{ [{'n': 1}, {'n': 2}]|join('-', attribute='n') }}",
    "{{ 'aBc dEf'|upper }} {{ 'aBc'|lower }} {{ 'aBc dEf-gh'|title }} {{ 'aBC'|capitalize }}", "{{ {'a': [1, 2.5, none, true], 'ü': \"x\\\"\\n\"}|tojson }}", "{{ {'a': [1, {}], 'b': []}|tojson(indent=2) }}",
    "{{ [3,1,2]|sort }} {{ ['b','A','c']|sort }} {{ ['b','A','c']|sort(case_sensitive=true) }} {{ [3,1,2]|sort(reverse=true) }} {{ [{'n': 2}, {'n': 1}]|sort(attribute='n') }}",
    "{{ [1,2,3]|first }} {{ [1,2,3]|last }} {{ 'abc'|first }} {{ []|first }}|", "{{ 'a-b-c'|replace('-', '+') }} {{ 'aaa'|replace('a', 'b', 2) }}", "{{ 'abc'|list }} {{ {'a': 1}|list }} {{ {'a': 1}|items|list }}",
    "{{ [{'r': 'u', 'c': 1}, {'r': 'a', 'c': 2}]|selectattr('r', 'equalto', 'u')|map(attribute='c')|list }}", "{{ [{'r': 1}, {}]|selectattr('r')|list|length }} {{ [{'r': 1}, {}]|rejectattr('r', 'defined')|list }}",
    "{{ [1,2,3,4]|select('odd')|list }} {{ [1,2,3]|reject('equalto', 2)|list }} {{ ['a','b']|map('upper')|join }} {{ [0,1,'']|select|list }}", "{{ '42'|int }} {{ 'x'|int(7) }} {{ 3.9|int }} {{ '1.5'|float }} {{ -3|abs }} {{ 2.567|round(2) }} {{ 2.5|round }}",
    "{{ [1,2,2,'a','A']|unique|list }} {{ [1,5,2]|max }} {{ [1,5,2]|min }} {{ [1,2,3]|sum }} {{ 'abc'|reverse }} {{ [1,2]|reverse|list }}", "{{ 'a\nb\n\nc'|indent(2) }}|{{ 'a\nb'|indent(4, true) }}",
    "{{ '<a>&\"'|e }} {{ 'x'|safe }} {{ 5|string + 'a' }} {{ 'one two'|wordcount }} {{ {'b': 1, 'a': 2}|dictsort }}", "{{ [[1,2],[3]]|map('length')|list }} {{ [{'a': {'b': 7}}]|map(attribute='a.b')|list }} {{ [{}]|map(attribute='q', default='z')|list }}",
    "{{ none|select|list }} {{ x|map('upper')|list }} {{ none|selectattr('a', 'equalto', 1)|list|length }} {{ none|reject('odd')|list }} {{ 0|map(attribute='q')|list }}",
    # tests
    "{{ 1 is number }}{{ 'a' is string }}{{ {} is mapping }}{{ [] is sequence }}{{ [] is iterable }}{{ none is none }}{{ 1 is integer }}{{ 1.0 is float }}{{ true is boolean }}{{ true is number }}{{ 'a' is iterable }}{{ {} is sequence }}",
    "{{ 3 is odd }}{{ 3 is even }}{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(2) }}{{ 1 is eq 1 }}{{ 1 is ne 1 }}{{ 1 is lt 2 }}{{ 2 is ge 2 }}{{ 1 is in [1] }}{{ 'a' is lower }}{{ 'A' is upper }}{{ true is true }}{{ 1 is true }}{{ range is callable }}",
    "{{ x is not defined and 1 is not none }} {{ 'a' is string and true }} {{ not x is defined }}",
    # methods
    "{{ ' a '.strip() }}|{{ 'xax'.strip('x') }}|{{ ' a'.lstrip() }}|{{ 'a '.rstrip() }}|{{ 'a,b,,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a b c'.split(' ', 1) }}|{{ 'a.b.c'.rsplit('.', 1) }}",
    "{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith(('x', 'a')) }} {{ 'aBc d'.upper() }} {{ 'aBc'.lower() }} {{ \"they're bill's\".title() }} {{ 'aBC'.capitalize() }} {{ 'a-b'.replace('-', '+') }}",
    "{{ 'abcabc'.find('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('c') }} {{ 'äöäö'.find('ö') }} {{ 'aXbX'.count('X') }} {{ '12'.isdigit() }} {{ ','.join(['a', 'b']) }} {{ 'a\nb\r\nc'.splitlines() }}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 'z') }} {{ {'a': 1}.keys()|list }} {{ {'a': 1}.values()|list }} {{ dict(a=1, b=2) }} {{ [1,2,2].count(2) }} {{ [1,2].index(2) }}",
    "{{ 'pre-x'.removeprefix('pre-') }} {{ 'x.y'.removesuffix('.y') }} {{ 'think</think>answer'.split('</think>')[-1].lstrip('\\n') }}",
]


def main():
    env = environment()
    cases = []

    def add(name, template, conversation, generate):
        messages = [{"role": role, "content": content} for role, content in CONVERSATIONS[conversation]]
        case = {"name": name, "template": template, "messages": messages, "add_generation_prompt": generate}
        try:
            case["expected"] = env.from_string(template).render(
                messages=messages, add_generation_prompt=generate, bos_token="<s>", eos_token="</s>", tools=None, documents=None)
        except Exception as error:  # noqa: BLE001 - whatever Jinja refuses, Retort must refuse
            case["error"] = str(error)
        cases.append(case)

    if len(sys.argv) == 3:
        for file in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja")):
            template = file.read_text(encoding="utf-8").replace("{% generation %}", "").replace("{% endgeneration %}", "")
            for conversation in CONVERSATIONS:
                for generate in (False, True):
                    add(f"{file.name}/{conversation}/{generate}", template, conversation, generate)
        pathlib.Path(sys.argv[2]).write_text(json.dumps(cases, ensure_ascii=False) + "\n", encoding="utf-8")
        print(len(cases), "cases,", sum("error" in c for c in cases), "errors")
        return
    named = {"chatml": CHATML, "qwen": QWEN, "zephyr": ZEPHYR, "llama2": LLAMA2, "llama3": LLAMA3, "llama31": LLAMA31,
             "mistral": MISTRAL, "gemma": GEMMA, "macros": MACROS.replace("{% generation_like is defined %}", "")}
    for name, template in named.items():
        for conversation in CONVERSATIONS:
            for generate in (False, True):
                add(f"{name}/{conversation}/{generate}", template, conversation, generate)
    for index, template in enumerate(SNIPPETS):
        add(f"snippet {index}", template, "system", False)
    path = pathlib.Path(__file__).with_name("cases.json")
    path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(len(cases), "cases,", sum("error" in c for c in cases), "errors")


main()
