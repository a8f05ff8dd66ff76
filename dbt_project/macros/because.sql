{#
  Reasons as data (room `messages`). Between models a reason is one text, `{"code": …, "args": {…}}`; `contracted` makes the sentences of it,
  and the columns `…_code` and `…_args`. What is no such text is prose, as old data hold it, and is shown as it stands.
#}

{#
  A reason of the catalogue. `args` {name: expression}: numbers and texts; the template formats and names them. `reasons` {name: expression}:
  other reasons that it holds. `numbers` that people read are given rounded.
#}
{% macro because(code, args={}, reasons={}) -%}
  {%- set object = 'named_struct' if target.type == 'spark' else 'json_object' -%}
  {%- set pairs = [] -%}
  {%- for name, expression in args.items() %}{% do pairs.append("'" ~ name ~ "', " ~ expression) %}{% endfor -%}
  {%- for name, expression in reasons.items() %}{% do pairs.append("'" ~ name ~ "', " ~ inner_reason(expression)) %}{% endfor -%}
  {%- if not pairs -%} '{"code":"{{ code }}","args":{}}'
  {%- elif target.type == 'spark' -%} to_json(named_struct('code', '{{ code }}', 'args', named_struct({{ pairs | join(', ') }})))
  {%- else -%} cast(json_object('code', '{{ code }}', 'args', json_object({{ pairs | join(', ') }})) as varchar) {%- endif -%}
{%- endmacro %}

{# A reason as an argument of another; engines without a JSON type give it as text, which the reader of reasons knows too. #}
{% macro inner_reason(expression) -%}
  {%- if target.type == 'spark' -%} {{ expression }}
  {%- else -%} case when {{ expression }} like '{"code":%' then cast({{ expression }} as json) else to_json({{ expression }}) end {%- endif -%}
{%- endmacro %}

{# The name of what a hospital named, in both languages, as an argument. #}
{% macro named(english, chinese) -%}
  {%- if target.type == 'spark' -%} named_struct('en', {{ english }}, 'zh', {{ chinese }})
  {%- else -%} json_object('en', {{ english }}, 'zh', {{ chinese }}) {%- endif -%}
{%- endmacro %}

{# The name of an examination by its code, which stands in a table that is named with it (`o.exam_code`); a code without a name is its own. #}
{% macro exam_name(code) -%}
  coalesce((select {{ named('max(n.exam_code)', 'max(n.name_zh)') }} from {{ ref('exams') }} as n where n.exam_code = {{ code }} group by n.exam_code), {{ named(code, code) }})
{%- endmacro %}

{# The name of a member of staff by the id; one who is not in the register is the id. #}
{% macro staff_name(staff_id) -%}
  coalesce((select {{ named('max(n.name_en)', 'max(n.name_zh)') }} from {{ ref('staff') }} as n where n.staff_id = {{ staff_id }} group by n.staff_id), {{ named(staff_id, staff_id) }})
{%- endmacro %}

{# A number as an argument: as people read it. #}
{% macro rounded(value, digits=3) -%} round({{ value }}, {{ digits }}) {%- endmacro %}

{# A reason as text of JSON, to stand in a list. #}
{% macro reason_json(expression) -%}
  {%- if target.type == 'spark' -%} case when {{ expression }} like '{"code":%' then {{ expression }} else to_json(named_struct('code', 'prose', 'args', named_struct('text', {{ expression }}))) end
  {%- else -%} case when {{ expression }} like '{"code":%' then {{ expression }} else cast(to_json({{ expression }}) as varchar) end {%- endif -%}
{%- endmacro %}

{# The reasons of a group as one, each once. #}
{% macro join_reasons(expression) -%}
  case
    when count(distinct {{ expression }}) < 2 then max({{ expression }})
    else '{"code":"joined","args":{"parts":[' || {{ join_text(reason_json(expression), ',') }} || ']}}'
  end
{%- endmacro %}

{# Two reasons as one; of a null one the other alone. #}
{% macro both_reasons(first, second) -%}
  case
    when {{ first }} is null then {{ second }}
    when {{ second }} is null then {{ first }}
    else '{"code":"joined","args":{"parts":[' || {{ reason_json(first) }} || ',' || {{ reason_json(second) }} || ']}}'
  end
{%- endmacro %}

{# The reason of a row that is stored as text, code and arguments; prose where it has no code. The text stays with it for a code that a catalogue lost. #}
{% macro stored_reason(text, code, args) -%}
  case
    when {{ code }} is null then {{ text }}
    else '{"code":"' || {{ code }} || '","args":' || coalesce({{ args }}, '{}') || ',"text":' || {{ reason_json(text) }} || '}'
  end
{%- endmacro %}

{# The same of an event's data. #}
{% macro event_reason(column='data') -%}
  {{ stored_reason("nullif(" ~ json_text(column, '$.reason') ~ ", '')", json_text(column, '$.reason_code'), json_text(column, '$.reason_args')) }}
{%- endmacro %}

{# The same of a mart, whose `reason` is a sentence already. #}
{% macro reason_of(alias, column='reason') -%}
  {{ stored_reason(alias ~ '.' ~ column, alias ~ '.' ~ column ~ '_code', alias ~ '.' ~ column ~ '_args') }}
{%- endmacro %}
