-- Findings about devices and images; devices that are not registered raise none. One finding a series (or series and aspect): its worst measure.
with phantom as (
    select
        m.*,
        count(*) over (partition by m.site_id, m.series_uid) as outside,
        row_number() over (
            partition by m.site_id, m.series_uid
            order by case m.verdict when 'fail' then 0 else 1 end, {{ excess('m') }} desc, m.measure, m.detector
        ) as worst_first
    from {{ ref('int_phantom__measure') }} as m
    where m.is_current and m.device_id <> 'UNREGISTERED' and m.verdict in ('fail', 'warn')
),

clinical as (
    select
        m.*,
        count(*) over (partition by m.site_id, m.series_uid, m.aspect) as outside,
        row_number() over (
            partition by m.site_id, m.series_uid, m.aspect
            order by case m.verdict when 'fail' then 0 else 1 end, {{ excess('m') }} desc, m.measure, m.region
        ) as worst_first
    from {{ ref('int_measure__judged') }} as m
    where m.analysis = 'clinical' and m.is_current and m.device_id <> 'UNREGISTERED' and m.verdict in ('fail', 'warn')
),

not_measured as (
    select
        site_id, series_uid, device_id,
        min(acquired_at_utc) as acquired_at_utc, min(series_recorded_at_utc) as recorded_at_utc,
        {{ join_reasons('reason') }} as reason, max(picture) as picture
    from {{ ref('int_phantom__measure') }}
    where is_current and is_phantom and device_id <> 'UNREGISTERED' and status = 'not_measured'
    group by site_id, series_uid, device_id
),

-- a whole-body image of a patient that nobody could judge; other patients' images are only tried as phantoms, which says nothing of them
unseen as (
    select
        site_id, series_uid, device_id, min(accession_number) as accession_number,
        min(acquired_at_utc) as acquired_at_utc, min(series_recorded_at_utc) as recorded_at_utc,
        {{ join_reasons('reason') }} as reason, max(picture) as picture
    from {{ ref('int_measure__judged') }}
    where analysis = 'clinical' and is_current and device_id <> 'UNREGISTERED' and status = 'not_measured'
    group by site_id, series_uid, device_id
),

missing as (
    select t.site_id, t.device_id, t.day, min(u.first_patient_at_utc) as first_patient_at_utc, {{ join_reasons('t.reason') }} as reason
    from {{ ref('int_device__due_test') }} as t
    inner join {{ ref('int_device__patient_use') }} as u on t.site_id = u.site_id and t.device_id = u.device_id and t.day = u.day
    where t.is_missing
    group by t.site_id, t.device_id, t.day
)

select
    p.site_id, 'PHANTOM_LIMIT' as rule_id, 'series' as subject_kind, p.series_uid as subject_id, p.device_id, d.room_id,
    {{ null_text() }} as accession_number, {{ null_text() }} as staff_id, p.acquired_at_utc as occurred_at_utc, p.value, p.unit,
    case when p.verdict = 'fail' then p.fail_text else p.warn_text end as limit_text,
    {{ because('finding.phantom', {'procedure': 'p.procedure', 'measure': 'p.measure', 'detector': 'p.detector',
        'more': 'case when p.outside > 1 then p.outside - 1 end'}, {'reason': 'p.reason'}) }} as reason,
    coalesce(p.standard || ' ', '') || p.clause as clause,
    p.picture as picture_href, 'fct_phantom_test' as source_mart, p.verdict as worst
from phantom as p
left join {{ ref('devices') }} as d on p.device_id = d.device_id
where p.worst_first = 1

union all

select
    n.site_id, 'PHANTOM_NOT_MEASURED', 'series', n.series_uid, n.device_id, d.room_id, null, null,
    coalesce(n.acquired_at_utc, n.recorded_at_utc), null, null, null, n.reason, null, n.picture, 'fct_phantom_test', 'fail'
from not_measured as n
left join {{ ref('devices') }} as d on n.device_id = d.device_id

union all

select
    m.site_id, 'PHANTOM_MISSING', 'device/day', m.device_id || '/' || {{ text('m.day') }}, m.device_id, d.room_id, null, null,
    m.first_patient_at_utc, null, null, null, m.reason, null, null, 'mart_device_day', 'fail'
from missing as m
left join {{ ref('devices') }} as d on m.device_id = d.device_id

union all

select
    c.site_id, 'IMAGE_QUALITY_LIMIT', 'series/aspect', c.series_uid || '/' || coalesce(c.aspect, c.measure), c.device_id, d.room_id,
    c.accession_number, null, c.acquired_at_utc, c.value, c.unit,
    case when c.verdict = 'fail' then c.fail_text else c.warn_text end,
    {{ because('finding.image', {'measure': 'c.measure', 'region': 'c.region', 'more': 'case when c.outside > 1 then c.outside - 1 end'},
        {'reason': 'c.reason'}) }},
    coalesce(c.standard || ' ', '') || c.clause, c.picture, 'fct_image_quality', c.verdict
from clinical as c
left join {{ ref('devices') }} as d on c.device_id = d.device_id
where c.worst_first = 1

union all

select
    u.site_id, 'IMAGE_NOT_MEASURED', 'series', u.series_uid, u.device_id, d.room_id, u.accession_number, null,
    coalesce(u.acquired_at_utc, u.recorded_at_utc), null, null, null, u.reason, null, u.picture, 'fct_image_quality', 'fail'
from unseen as u
left join {{ ref('devices') }} as d on u.device_id = d.device_id

union all

select
    i.site_id, 'PHANTOM_INVALID', 'series', i.series_uid, i.device_id, d.room_id, null, null,
    min(i.acquired_at_utc), null, null, null, {{ because('procedure.reason', {'procedure': 'i.procedure'}, {'reason': 'max(i.reason)'}) }}, null, max(i.picture), 'fct_phantom_test', 'fail'
from {{ ref('int_phantom__measure') }} as i
left join {{ ref('devices') }} as d on i.device_id = d.device_id
where i.is_current and i.device_id <> 'UNREGISTERED' and i.phantom_state in ('unknown', 'expired')
group by i.site_id, i.series_uid, i.device_id, d.room_id, i.procedure

union all

select
    o.site_id, 'PHANTOM_OVERDUE', 'device/procedure', o.device_id || '/' || o.procedure, o.device_id, d.room_id, null, null,
    {{ day_start_utc('o.next_due_day', 's.time_zone') }}, o.days_left, 'd', '≤ ' || {{ text('o.every_days') }} || ' d', {{ reason_of('o') }},
    null, null, 'mart_phantom_due', 'fail'
from {{ ref('mart_phantom_due') }} as o
inner join {{ ref('sites') }} as s on o.site_id = s.site_id
left join {{ ref('devices') }} as d on o.device_id = d.device_id
-- a daily test that is missing concerns nobody until the device is used: PHANTOM_MISSING
where o.state = 'overdue' and o.every_days > 1

union all

select
    t.site_id, 'DRIFT', t.subject_kind || '/measure',
    t.subject_id || '/' || t.procedure || '/' || t.measure || coalesce('/' || t.detector, '') || coalesce('/' || t.region, ''),
    case when t.subject_kind = 'device' then t.subject_id end, case when t.subject_kind = 'room' then t.subject_id else d.room_id end, null, null,
    t.flagged_at_utc, t.shift, t.unit, 'Δ < ' || {{ number_text('c.min_shift') }} || coalesce(' ' || t.unit, ''), {{ reason_of('t') }}, null, null,
    'mart_drift', 'fail'
from {{ ref('mart_drift') }} as t
inner join (select chart_id, max(min_shift) as min_shift from {{ ref('drift_charts') }} group by chart_id) as c on t.chart_id = c.chart_id
left join {{ ref('devices') }} as d on t.subject_id = d.device_id
where t.is_current and t.state = 'drift' and t.matters

union all

select
    p.site_id, 'PEER_OUTLIER', 'device/measure',
    p.device_id || '/' || p.procedure || '/' || p.measure || coalesce('/' || p.detector, '') || coalesce('/' || p.region, ''),
    p.device_id, d.room_id, null, null, p.measured_at_utc, p.value, p.unit, null,
    {{ because('measure.of_detector', {'measure': 'p.measure', 'detector': 'p.detector'}, {'reason': reason_of('p')}) }},
    null, null, 'mart_peer_position', 'fail'
from {{ ref('mart_peer_position') }} as p
left join {{ ref('devices') }} as d on p.device_id = d.device_id
where p.position = 'outlier' and p.matters

union all

select
    h.site_id, 'WORKLIST_OVERRIDE', 'override', h.event_id, h.device_id, d.room_id, null, h.staff_id, h.occurred_at_utc, null, null,
    '≤ ' || {{ moment_text('h.until_utc') }}, {{ because('override.reason', {'words': 'h.override_reason'}, {'reason': reason_of('h')}) }}, null, null, 'fct_worklist_hold', 'fail'
from {{ ref('fct_worklist_hold') }} as h
left join {{ ref('devices') }} as d on h.device_id = d.device_id
where h.kind = 'override'

union all

-- one a day: why a device is held may change as tests come in
select
    h.site_id, 'WORKLIST_HELD', case when h.device_id is null then 'accession' else 'device/day' end,
    coalesce(h.accession_number, h.device_id || '/' || {{ text(local_day('h.occurred_at_utc', 's.time_zone')) }}), h.device_id, d.room_id,
    h.accession_number, null, min(h.occurred_at_utc), null, null, max(h.policy_id), max({{ reason_of('h') }}), null, null, 'fct_worklist_hold', 'fail'
from {{ ref('fct_worklist_hold') }} as h
inner join {{ ref('sites') }} as s on h.site_id = s.site_id
left join {{ ref('devices') }} as d on h.device_id = d.device_id
where h.kind <> 'override' and h.action = 'held'
group by h.site_id, h.accession_number, h.device_id, d.room_id, {{ local_day('h.occurred_at_utc', 's.time_zone') }}
