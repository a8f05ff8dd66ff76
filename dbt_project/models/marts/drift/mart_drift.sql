with final as (
    select
        *,
        newest_first = 1 as is_current,
        coalesce(baseline_id, 'first ' || {{ text('baseline_n') }} || ' values') as baseline_source,
        case
            when state = 'learning' then {{ text('values_seen') }} || ' of ' || {{ text('baseline_n') }} || ' values of the baseline'
            when state in ('drift', 'returned')
                then
                    measure || coalesce(' of ' || detector, '') || coalesce(' in ' || region, '') || ' went ' || direction || ' from '
                    || {{ number_text('baseline_value') }} || ' by ' || {{ number_text('abs(shift)') }} || coalesce(' ' || unit, '') || ' since '
                    || {{ text('start_day') }} || ', flagged on ' || {{ text('flagged_day') }}
                    || case when state = 'returned' then ', inside again now' else '' end
                    || case when matters then '' else ' (less than ' || {{ number_text('min_shift') }} || ', which would matter)' end
        end as reason
    from (
        select *, measured_at_utc as last_value_at_utc, value as last_value
        from {{ ref('int_drift__trend') }}
    ) as t
)

{{ contracted('final') }}
