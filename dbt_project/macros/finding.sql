{% macro null_text() -%} cast(null as {{ dbt.type_string() }}) {%- endmacro %}

{# How far a value lies outside its bounds, in units of the bound, so that different measures can be ranked. #}
{% macro excess(m) -%}
  case
    when {{ m }}.verdict = 'fail' then greatest(
      coalesce(({{ m }}.value - {{ m }}.fail_high) / nullif(abs({{ m }}.fail_high), 0), 0),
      coalesce(({{ m }}.fail_low - {{ m }}.value) / nullif(abs({{ m }}.fail_low), 0), 0))
    else greatest(
      coalesce(({{ m }}.value - {{ m }}.warn_high) / nullif(abs({{ m }}.warn_high), 0), 0),
      coalesce(({{ m }}.warn_low - {{ m }}.value) / nullif(abs({{ m }}.warn_low), 0), 0))
  end
{%- endmacro %}
