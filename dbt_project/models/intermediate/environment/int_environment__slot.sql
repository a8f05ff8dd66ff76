-- Ten-minute slots with at least one good reading, per sensor.
select
    r.site_id,
    r.room_id,
    r.sensor_id,
    r.quantity,
    max(r.unit) as unit,
    {{ slot('r.read_at_utc') }} as slot_utc,
    min(r.value) as value_min,
    max(r.value) as value_max,
    sum(r.value) as value_sum,
    count(*) as readings
from {{ ref('stg_sensors__reading') }} as r
where r.quality = 'good' and r.value is not null and not isnan(r.value)
group by r.site_id, r.room_id, r.sensor_id, r.quantity, {{ slot('r.read_at_utc') }}
