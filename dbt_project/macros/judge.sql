{#
  One judge. `photopeak analyse` follows the same truth table, and a test compares the two:
  no value, NaN, or a status other than "measured" -> none; no limit row, or one whose bounds are all unknown -> none;
  outside the fail bounds -> fail; outside the warn bounds -> warn; a value on a bound is inside.
#}
{% macro verdict(value, status, warn_low, warn_high, fail_low, fail_high) -%}
  case
    when {{ value }} is null or isnan({{ value }}) or coalesce({{ status }}, 'not_measured') <> 'measured' then 'none'
    when coalesce({{ warn_low }}, {{ warn_high }}, {{ fail_low }}, {{ fail_high }}) is null then 'none'
    when {{ value }} < {{ fail_low }} or {{ value }} > {{ fail_high }} then 'fail'
    when {{ value }} < {{ warn_low }} or {{ value }} > {{ warn_high }} then 'warn'
    else 'pass'
  end
{%- endmacro %}

{# Why a verdict is what it is; null for a pass. `limit_id` null means that no row was in force. #}
{% macro verdict_reason(value, status, reason, limit_id, warn_low, warn_high, fail_low, fail_high, unit) -%}
  case
    when coalesce({{ status }}, 'not_measured') <> 'measured' then coalesce({{ reason }}, {{ because('verdict.not_measured') }})
    when {{ value }} is null or isnan({{ value }}) then coalesce({{ reason }}, {{ because('verdict.no_value') }})
    when {{ limit_id }} is null then {{ because('verdict.no_limit') }}
    when coalesce({{ warn_low }}, {{ warn_high }}, {{ fail_low }}, {{ fail_high }}) is null then {{ because('verdict.limit_unknown') }}
    when {{ value }} < {{ fail_low }} or {{ value }} > {{ fail_high }}
      then {{ because('verdict.outside', {'value': rounded(value), 'unit': unit_text(unit), 'limit': limit_text(fail_low, fail_high, unit)}) }}
    when {{ value }} < {{ warn_low }} or {{ value }} > {{ warn_high }}
      then {{ because('verdict.outside_warning', {'value': rounded(value), 'unit': unit_text(unit), 'limit': limit_text(warn_low, warn_high, unit)}) }}
  end
{%- endmacro %}

{# The unit of a number; null where it has none. #}
{% macro unit_text(unit) -%} nullif({{ unit }}, '1') {%- endmacro %}

{% macro number_text(value) -%} {{ text('round(' ~ value ~ ', 3)') }} {%- endmacro %}

{# "≤ 5 %", "≥ 1.5 Mcts", "-4 … 4 HU"; null when both bounds are unknown. #}
{% macro limit_text(low, high, unit) -%}
  case
    when {{ low }} is not null and {{ high }} is not null then {{ number_text(low) }} || ' … ' || {{ number_text(high) }}
    when {{ high }} is not null then '≤ ' || {{ number_text(high) }}
    when {{ low }} is not null then '≥ ' || {{ number_text(low) }}
  end || coalesce(' ' || nullif({{ unit }}, '1'), '')
{%- endmacro %}

{# One way of writing a unit: small letters, without blanks, u for µ, empty for null; as `laboratory_units.csv` has its spellings. #}
{% macro unit_plain(unit) -%}
  lower(replace(replace(replace(coalesce({{ unit }}, ''), ' ', ''), 'µ', 'u'), 'μ', 'u'))
{%- endmacro %}
