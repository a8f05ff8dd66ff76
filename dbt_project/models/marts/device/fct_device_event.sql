with told as (
    select site_id, event_id, device_id, kind, ended_at_utc as occurred_at_utc, started_at_utc, staff_id, note, recorded_at_utc
    from {{ ref('stg_door__maintenance') }}

    union all

    -- told anew from the same state it is no event: the device was held before
    select
        site_id, event_id, device_id, 'held' as kind, occurred_at_utc, occurred_at_utc as started_at_utc, {{ null_text() }} as staff_id,
        {{ null_text() }} as note, recorded_at_utc
    from (
        select *, lag(action) over (partition by site_id, device_id order by occurred_at_utc, journal_offset) as action_before
        from {{ ref('stg_dicom__hold') }}
    ) as h
    where action = 'held' and action_before is distinct from 'held'

    union all

    select
        site_id, event_number as event_id, device_id, 'fault' as kind, occurred_at_utc, occurred_at_utc as started_at_utc, reported_by as staff_id,
        description as note, reported_at_utc as recorded_at_utc
    from {{ ref('fct_adverse_event') }}
    where device_id is not null
),

final as (
    select
        t.site_id, t.event_id, coalesce(d.device_id, 'UNREGISTERED') as device_id, t.kind, t.started_at_utc, t.occurred_at_utc, t.staff_id, t.note,
        t.recorded_at_utc
    from told as t
    left join {{ ref('dim_device') }} as d on t.site_id = d.site_id and t.device_id = d.device_id
)

{{ contracted('final') }}
