with placed as (
    {{ as_told(ref('stg_his__order'), ['site_id', 'accession_number'], 'happened_at_utc') }}
),

numbered as (
    select
        *,
        row_number() over (partition by site_id, accession_number order by {{ newest_told() }}) as newest_first,
        -- one that names no examination changes the state of an order and nothing else
        row_number() over (
            partition by site_id, accession_number order by case when exam_code is null then 1 else 0 end, {{ newest_told() }}
        ) as whole_first,
        min(occurred_at_utc) over (partition by site_id, accession_number) as ordered_at_utc
    from placed
)

select
    n.site_id,
    n.accession_number,
    w.patient_pseudonym,
    w.exam_code,
    w.exam_name,
    w.indication,
    {{ order_state('n.order_control', 'n.order_status') }} as order_state,
    {{ order_state('n.order_control', 'n.order_status') }} = 'ended' as is_cancelled,
    n.ordered_at_utc,
    w.scheduled_at_utc,
    w.prescribed_activity_mbq,
    w.weight_kg
from numbered as n
inner join numbered as w on n.site_id = w.site_id and n.accession_number = w.accession_number and w.whole_first = 1
where n.newest_first = 1
