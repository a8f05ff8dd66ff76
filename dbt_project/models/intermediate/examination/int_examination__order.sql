with placed as (
    {{ as_told(ref('stg_his__order'), ['site_id', 'accession_number'], 'happened_at_utc') }}
),

numbered as (
    select
        *,
        row_number() over (partition by site_id, accession_number order by {{ newest_told() }}) as newest_first,
        min(occurred_at_utc) over (partition by site_id, accession_number) as ordered_at_utc
    from placed
)

select
    n.site_id,
    n.accession_number,
    n.patient_pseudonym,
    n.exam_code,
    n.exam_name,
    n.indication,
    {{ order_state('n.order_control', 'n.order_status') }} as order_state,
    {{ order_state('n.order_control', 'n.order_status') }} = 'ended' as is_cancelled,
    n.ordered_at_utc,
    -- what was told to the day or the minute was known when it came, or when that day or minute was over
    case
        when n.occurred_precision_s <= 1 then n.happened_at_utc
        else greatest(n.told_at_utc, least(n.recorded_at_utc, {{ plus_seconds('n.happened_at_utc', 'n.occurred_precision_s') }}))
    end as told_at_utc,
    n.scheduled_at_utc,
    n.prescribed_activity_mbq,
    n.weight_kg,
    {{ local_day('coalesce(n.scheduled_at_utc, n.ordered_at_utc)', 's.time_zone') }} as exam_day
from numbered as n
inner join {{ ref('sites') }} as s on n.site_id = s.site_id
where n.newest_first = 1
