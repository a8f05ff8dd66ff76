-- Who should be heard and is not: a site of which no sensor has been heard lately, and a registered sensor that was never heard at all.
-- A sensor that was heard once and then not is a gap of its days (int_environment__sensor_day). A site that was never heard is silent
-- from the first event that the platform recorded of it: a fresh installation gets the same patience.
with registered as (
    select r.site_id, s.sensor_id, s.room_id
    from {{ ref('sensors') }} as s
    inner join {{ ref('rooms') }} as r on s.room_id = r.room_id
),

heard as (
    select site_id, sensor_id, min(read_at_utc) as first_read_at_utc, max(read_at_utc) as last_read_at_utc
    from {{ ref('stg_sensors__reading') }}
    where read_at_utc < {{ as_of() }}
    group by site_id, sensor_id
),

site_heard as (
    select site_id, min(first_read_at_utc) as first_read_at_utc, max(last_read_at_utc) as last_read_at_utc from heard group by site_id
),

at_work as (
    select site_id, min(recorded_at_utc) as first_recorded_at_utc from {{ ref('stg_lake__event') }} group by site_id
),

silent as (
    select
        r.site_id, r.site_id as subject_id, 'site' as subject_kind, {{ null_text() }} as room_id,
        coalesce(h.last_read_at_utc, w.first_recorded_at_utc) as silent_since_utc, r.sensors
    from (select site_id, count(*) as sensors from registered group by site_id) as r
    left join site_heard as h on r.site_id = h.site_id
    left join at_work as w on r.site_id = w.site_id

    union all

    select r.site_id, r.sensor_id, 'sensor', r.room_id, a.first_read_at_utc, 1
    from registered as r
    inner join site_heard as a on r.site_id = a.site_id
    left join heard as h on r.site_id = h.site_id and r.sensor_id = h.sensor_id
    where h.sensor_id is null
)

select * from silent where {{ plus_minutes('silent_since_utc', var('silence_minutes')) }} <= {{ as_of() }}
