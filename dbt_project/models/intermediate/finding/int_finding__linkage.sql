-- Findings about whose and which an input is: what contradicts the examination that it names, fits several, or belongs to none.
with phantoms as (
    select distinct site_id, series_uid
    from {{ ref('int_measure__judged') }}
    where analysis = 'phantom' and status in ('measured', 'indicative')
),

told as (
    select
        l.site_id, l.record_id, l.kind, l.state, l.accession_number, l.reason, l.against, e.occurred_at_utc,
        coalesce(s.series_uid, l.accession_number, l.record_id) as named
    from {{ ref('int_record_link') }} as l
    inner join {{ ref('stg_lake__event') }} as e on l.site_id = e.site_id and l.record_id = e.record_id
    left join {{ ref('int_series__current') }} as s on l.site_id = s.site_id and l.record_id = s.record_id
    left join phantoms as p on s.site_id = p.site_id and s.series_uid = p.series_uid
    -- the number of a laboratory's request is its own; of a series the newest state counts
    where l.kind <> 'laboratory' and (l.kind <> 'series' or s.record_id is not null) and l.reason is not null
    -- images of a device that nobody registered may be of another hospital, those that a phantom procedure could measure a phantom's
    and not (
        l.state = 'orphan' and l.kind = 'series'
        and (
            s.device_id = 'UNREGISTERED' or coalesce(s.modality, '') not in ('NM', 'PT', 'CT') or coalesce(s.image_type, '') like 'DERIVED%'
            or (s.told_number is null and p.series_uid is not null)
        )
    )
)

select
    t.site_id,
    case t.state when 'contradicted' then 'LINK_CONTRADICTED' when 'orphan' then 'LINK_ORPHAN' else 'LINK_UNCERTAIN' end as rule_id,
    t.kind as subject_kind, t.named as subject_id, max(s.device_id) as device_id, {{ null_text() }} as room_id,
    max(t.accession_number) as accession_number, {{ null_text() }} as staff_id, min(t.occurred_at_utc) as occurred_at_utc, null as value,
    {{ null_text() }} as unit, {{ null_text() }} as limit_text, max(t.reason) as reason, {{ null_text() }} as clause,
    {{ null_text() }} as picture_href, 'int_record_link' as source_mart, 'fail' as worst
from told as t
left join {{ ref('int_series__current') }} as s on t.site_id = s.site_id and t.record_id = s.record_id and s.device_id <> 'UNREGISTERED'
group by t.site_id, t.state, t.kind, t.named

union all

select
    site_id, 'DEVICE_IDENTITY', 'device', coalesce(station_name, '') || '/' || coalesce(device_serial, ''), null, null, null, null,
    min(coalesce(acquired_at_utc, recorded_at_utc)), null, null, null, max(device_doubt), null, null, 'int_series__current', 'fail'
from {{ ref('int_series__current') }}
where device_doubt is not null
group by site_id, station_name, device_serial

union all

select
    c.site_id, 'DEVICE_IDENTITY', 'device', c.device_id, null, null, null, null, min(c.performed_at_utc), null, null, null,
    {{ because('device.not_registered', {'device': 'c.device_id'}) }}, null, null, 'stg_door__check', 'fail'
from {{ ref('stg_door__check') }} as c
left join {{ ref('devices') }} as d on c.site_id = d.site_id and c.device_id = d.device_id
where d.device_id is null and c.device_id is not null
group by c.site_id, c.device_id

union all

select
    e.site_id, 'LINK_CONTRADICTED', 'accession', e.accession_number || '/device', min(e.device_id), null, e.accession_number, null,
    min(e.acquired_at_utc), null, null, null,
    {{ because('device.step_disagrees', {'step_device': 'max(p.device_id)', 'image_device': 'min(e.device_id)'}) }}, null, null, 'int_examination__series', 'fail'
from {{ ref('int_examination__series') }} as e
inner join {{ ref('int_examination__performed_step') }} as p
    on e.site_id = p.site_id and e.accession_number = p.accession_number and p.step = 'acquisition' and p.result = 'done' and p.device_id is not null
where e.device_id <> 'UNREGISTERED'
group by e.site_id, e.accession_number
-- every device of a step has images, or none of them has: an examination may be done on two
having
    sum(case when e.device_id = p.device_id then 1 else 0 end) = 0
