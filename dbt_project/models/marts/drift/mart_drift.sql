{%- set went = {
    'measure': 'measure', 'detector': 'detector', 'region': 'region', 'direction': 'direction', 'baseline': rounded('baseline_value'),
    'shift': rounded('abs(shift)'), 'unit': 'unit', 'since': text('start_day'), 'flagged': text('flagged_day'),
    'matters_from': 'case when not matters then ' ~ rounded('min_shift') ~ ' end'
} -%}
with final as (
    select
        *,
        newest_first = 1 as is_current,
        coalesce(baseline_id, 'first ' || {{ text('baseline_n') }} || ' values') as baseline_source,
        case
            when state = 'learning' then {{ because('drift.learning', {'values': 'values_seen', 'needed': 'baseline_n'}) }}
            when state = 'drift' then {{ because('drift.went', went) }}
            when state = 'returned' then {{ because('drift.returned', went) }}
        end as reason
    from (
        select *, measured_at_utc as last_value_at_utc, value as last_value
        from {{ ref('int_drift__trend') }}
    ) as t
)

{{ contracted('final') }}
