with final as (
    select
        *,
        n <= learning as is_baseline,
        round(value - baseline_value, 6) as change_from_baseline,
        coalesce(baseline_id, 'first ' || {{ text('baseline_n') }} || ' values') as baseline_source
    from {{ ref('int_drift__point') }}
)

{{ contracted('final') }}
