{#
  The last select of a mart: columns, order and types as its YAML declares them, so that they stand in one place. Of a column `reason…` of
  which the mart has `reason…_zh` too, the select before holds what `because` made: here it becomes the English, `_zh` the Chinese, `_code` and `_args` the data.
#}
{% macro contracted(relation) -%}
  {%- set columns = model.columns.values() | list if model.columns else [] -%}
  {%- set names = columns | map(attribute='name') | list -%}
  select
  {%- if columns %}
  {%- for column in columns %}
    {%- set told = namespace(expression=column.name) %}
    {%- for base in names if base.startswith('reason') and base ~ '_zh' in names %}
      {%- if column.name == base %}{% set told.expression = 'reason_en(' ~ base ~ ')' %}{% endif %}
      {%- for part in ('zh', 'code', 'args') if column.name == base ~ '_' ~ part %}{% set told.expression = 'reason_' ~ part ~ '(' ~ base ~ ')' %}{% endfor %}
    {%- endfor %}
    cast({{ told.expression }} as {{ column.data_type }}) as {{ column.name }}{{ "," if not loop.last }}
  {%- endfor %}
  {%- else %} *{% endif %}
  from {{ relation }}
{%- endmacro %}
