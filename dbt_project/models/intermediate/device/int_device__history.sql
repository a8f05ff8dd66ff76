{#
  The day on which the history of a device begins. `commissioned_on` of devices.csv decides; without it, the evidence that came within 24 hours of
  the first one does: data of former days are imported when a device joins. What comes later, however old it is, moves nothing. Of that evidence
  the last run of days counts that has no gap of more than a month: one image of years ago is no history.
#}
with evidence as (
    select u.site_id, u.device_id, {{ local_day('u.started_at_utc', 's.time_zone') }} as day, u.recorded_at_utc
    from {{ ref('stg_door__step') }} as u
    inner join {{ ref('sites') }} as s on u.site_id = s.site_id
    where u.device_id is not null and u.step in ('positioning', 'acquisition') and u.started_at_utc is not null

    union all

    select c.site_id, c.device_id, c.local_day as day, e.recorded_at_utc
    from {{ ref('int_series__current') }} as c
    inner join {{ ref('stg_dicom__series') }} as e on c.site_id = e.site_id and c.series_uid = e.series_uid
),

joined as (
    select site_id, device_id, {{ plus_minutes('min(recorded_at_utc)', '1440') }} as imported_until_utc
    from evidence
    group by site_id, device_id
),

days as (
    select distinct e.site_id, e.device_id, e.day, j.imported_until_utc
    from evidence as e
    inner join joined as j on e.site_id = j.site_id and e.device_id = j.device_id
    where e.recorded_at_utc <= j.imported_until_utc
),

runs as (
    select
        *,
        {{ days_between('lag(day) over (partition by site_id, device_id order by day)', 'day') }} as gap_days
    from days
),

began as (
    select site_id, device_id, max(day) as first_day, max(imported_until_utc) as imported_until_utc
    from runs
    where gap_days is null or gap_days > 31
    group by site_id, device_id
)

select
    d.site_id,
    d.device_id,
    coalesce(d.commissioned_on, case when b.first_day > d.in_service_from then b.first_day else d.in_service_from end) as first_day,
    b.imported_until_utc
from {{ ref('devices') }} as d
left join began as b on d.site_id = b.site_id and d.device_id = b.device_id
where d.commissioned_on is not null or b.first_day is not null
