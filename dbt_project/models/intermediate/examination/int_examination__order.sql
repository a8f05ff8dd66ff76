with numbered as (
    select
        o.*,
        row_number() over (
            partition by o.site_id, o.accession_number order by o.occurred_at_utc desc, o.recorded_at_utc desc, o.journal_offset desc
        ) as newest_first,
        min(o.occurred_at_utc) over (partition by o.site_id, o.accession_number) as ordered_at_utc
    from {{ ref('stg_his__order') }} as o
)

select
    n.site_id,
    n.accession_number,
    n.patient_pseudonym,
    n.exam_code,
    n.exam_name,
    n.indication,
    n.order_control in ('CA', 'OC', 'DC') as is_cancelled,
    n.ordered_at_utc,
    n.occurred_at_utc as told_at_utc,
    n.scheduled_at_utc,
    n.prescribed_activity_mbq,
    n.weight_kg,
    {{ local_day('coalesce(n.scheduled_at_utc, n.ordered_at_utc)', 's.utc_offset_minutes') }} as exam_day
from numbered as n
inner join {{ ref('sites') }} as s on n.site_id = s.site_id
where n.newest_first = 1
