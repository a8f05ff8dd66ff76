{# Schemas carry their plain names (staging, intermediate, marts, reference): outside checks and dashboards name them. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
