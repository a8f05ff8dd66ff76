{# Whether an order may be acted on, by HL7 tables 0119 and 0038; `judgement/order_states.py` says the same, and a test compares the codes. #}
{% macro order_state(control, status) -%}
{%- set said = "upper(trim(" ~ control ~ "))" -%}
{%- set is = "upper(trim(coalesce(" ~ status ~ ", '')))" -%}
case
    when
        {{ said }} in ('CA', 'OC', 'CR', 'CP', 'DC', 'OD', 'DR', 'RP', 'RU', 'RQ', 'UA')
        or {{ is }} in ('CA', 'DC', 'RP')
        then 'ended'
    when {{ is }} in ('CM') then 'completed'
    when
        {{ said }} in ('HD', 'OH', 'HR', 'UR')
        or {{ is }} in ('HD')
        then 'held'
    when
        {{ said }} in (
            'NW', 'OK', 'XO', 'XR', 'XX', 'UX', 'RL', 'OE', 'OR', 'RO', 'SC', 'SN', 'NA', 'SR', 'SS', 'PA', 'CH', 'CN', 'RE', 'RR', 'PR',
            'OP', 'PY', 'OF', 'AF', 'RF', 'FU', 'MC', 'LI', 'UN', 'UC', 'UD', 'UF', 'UH', 'UM', 'UU'
        )
        and {{ is }} in ('', 'A', 'IP', 'SC')
        then 'open'
    else 'unknown'
end
{%- endmacro %}

{# Why an order that is not open forbids an injection. #}
{% macro order_reason(state) -%}
case {{ state }}
    when 'ended' then {{ because('order.cancelled') }}
    when 'completed' then {{ because('order.completed') }}
    when 'held' then {{ because('order.held') }}
    when 'unknown' then {{ because('order.state_unknown') }}
end
{%- endmacro %}
