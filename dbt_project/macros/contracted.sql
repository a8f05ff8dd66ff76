{#
  The last select of a mart: columns, order and types as its YAML declares them, so that they stand in one place. A column `reason…_zh` is the
  column `reason…` in Chinese.
#}
{% macro contracted(relation) -%}
  {%- set columns = model.columns.values() | list if model.columns else [] -%}
  select
  {%- if columns %}
  {%- for column in columns %}
    {%- set english = column.name[:-3] if column.name.startswith('reason') and column.name.endswith('_zh') %}
    cast({{ reason_zh(english) if english else column.name }} as {{ column.data_type }}) as {{ column.name }}{{ "," if not loop.last }}
  {%- endfor %}
  {%- else %} *{% endif %}
  from {{ relation }}
{%- endmacro %}
