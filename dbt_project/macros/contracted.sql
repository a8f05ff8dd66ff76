{# The last select of a mart: columns, order and types as its YAML declares them, so that they stand in one place. #}
{% macro contracted(relation) -%}
  {%- set columns = model.columns.values() | list if model.columns else [] -%}
  select
  {%- if columns %}
  {%- for column in columns %}
    cast({{ column.name }} as {{ column.data_type }}) as {{ column.name }}{{ "," if not loop.last }}
  {%- endfor %}
  {%- else %} *{% endif %}
  from {{ relation }}
{%- endmacro %}
