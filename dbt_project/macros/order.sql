{# What a message does to the state of its order, by HL7 tables 0119 and 0038; `judgement/order_states.py` says the same, and a test compares. #}
{% macro order_effect(control, status) -%}
{%- set said = "upper(trim(" ~ control ~ "))" -%}
{%- set is = "upper(trim(coalesce(" ~ status ~ ", '')))" -%}
{%- set controls = {
    'end_asked': 'CA DC RP', 'ended': 'OC CR CP OD DR RQ RU UA', 'hold_asked': 'HD', 'hold': 'OH HR UR', 'open': 'NW RO',
    'end_refused': 'UC UD UM', 'hold_refused': 'UH', 'release': 'RL OE OR',
    'nothing': 'OK XO XR XX UX SC SN NA SR SS PA CH CN RE RR PR OP PY OF AF RF FU MC LI UN UF UU',
} -%}
case
    {%- for effect in ('end_asked', 'ended') %}
    when {{ said }} in ('{{ controls[effect].split() | join("', '") }}') then '{{ effect }}'
    {%- endfor %}
    when {{ is }} in ('CA', 'DC', 'RP') then 'ended'
    when {{ is }} = 'CM' then 'completed'
    when {{ is }} = 'HD' then 'held'
    {%- for effect in ('hold_asked', 'hold') %}
    when {{ said }} in ('{{ controls[effect].split() | join("', '") }}') then '{{ effect }}'
    {%- endfor %}
    when {{ is }} not in ('', 'A', 'IP', 'SC') then 'unclear'
    {%- for effect in ('open', 'end_refused', 'hold_refused', 'release', 'nothing') %}
    when {{ said }} in ('{{ controls[effect].split() | join("', '") }}') then case when {{ is }} = '' then '{{ effect }}' else 'open' end
    {%- endfor %}
    else 'unclear'
end
{%- endmacro %}

{#
  The state of each order by what is told of it, as `History.state` has it: `keys, order_state`. `told` are rows of `as_told` with
  `order_control, order_status, occurred_at_utc, occurred_precision_s`. Steps: 1) what opens is not told twice, and yields to what says
  otherwise of its moment; 2) requests that were refused before anything else was told are none; 3) what sets a state, last of all, and
  then holds and releases behind it.
#}
{% macro order_states(told, keys) -%}
{%- set by = keys | join(', ') -%}
{%- set sets = "('open', 'ended', 'completed', 'held')" -%}
select
    {{ by }},
    case
        when max(case when n = base then stands end) in ('ended', 'end_asked') then 'ended'
        when max(case when n = base then stands end) = 'completed' then 'completed'
        when max(case when n > base and stands = 'unclear' then 1 else 0 end) = 1 then 'unknown'
        else coalesce(
            case max(case when n > base and stands in ('hold', 'hold_asked', 'release') then n * 2 + case when stands = 'release' then 0 else 1 end end) % 2
                when 1 then 'held' when 0 then 'open'
            end,
            max(case when n = base then stands end),
            'open'
        )
    end as order_state
from (
    select
        s.*,
        coalesce(max(case when stands in {{ sets }} or stands = 'end_asked' then n end) over (partition by {{ by }}), 0) as base
    from (
        select
            m.*,
            case
                when effect = 'end_asked' and after_end % 2 = 1 then 'nothing'
                when effect = 'hold_asked' and after_hold % 2 = 1 then 'nothing'
                else effect
            end as stands
        from (
            select
                o.*,
                min(case
                    when effect in {{ sets }} or effect = 'end_refused' then n * 2 + case when effect = 'end_refused' then 1 else 0 end
                end) over (partition by {{ by }} order by n rows between 1 following and unbounded following) as after_end,
                min(case
                    when effect in {{ sets }} or effect in ('hold', 'release', 'hold_refused')
                        then n * 2 + case when effect = 'hold_refused' then 1 else 0 end
                end) over (partition by {{ by }} order by n rows between 1 following and unbounded following) as after_hold
            from (
                select
                    e.*,
                    row_number() over (
                        partition by {{ by }}
                        order by
                            told_at_utc, case when effect = 'open' and upper(trim(order_control)) <> 'RO' then 0 else 1 end,
                            told_behind, recorded_at_utc, journal_offset
                    ) as n
                from (
                    select
                        a.*,
                        case when again > 1 and does in ('open', 'release', 'end_refused', 'hold_refused') then 'nothing' else does end as effect
                    from (
                        select
                            *,
                            {{ order_effect('order_control', 'order_status') }} as does,
                            row_number() over (
                                partition by
                                    {{ by }}, occurred_at_utc, occurred_precision_s, upper(trim(order_control)),
                                    upper(trim(coalesce(order_status, '')))
                                order by recorded_at_utc, journal_offset
                            ) as again
                        from {{ told }}
                    ) as a
                ) as e
            ) as o
        ) as m
    ) as s
) as b
group by {{ by }}
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
