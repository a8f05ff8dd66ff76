{#
  From when until when a sensor is expected to report: from its first reading, good or not, to as_of - but not beyond the last reading of any
  sensor of its site, because when no sensor is heard the platform was not listening, and that is not the room's gap. A sensor that the
  reference data do not know is expected until its own last reading. Readings after as_of never make anything expected.
#}
with heard as (
    select
        site_id, room_id, sensor_id, quantity,
        min(read_at_utc) as first_read_at_utc,
        max(read_at_utc) as last_read_at_utc
    from {{ ref('stg_sensors__reading') }}
    where read_at_utc < {{ as_of() }}
    group by site_id, room_id, sensor_id, quantity
),

site_heard as (
    select site_id, max(last_read_at_utc) as last_read_at_utc from heard group by site_id
)

select
    h.site_id,
    h.room_id,
    h.sensor_id,
    h.quantity,
    s.sensor_id is not null as is_registered,
    {{ slot('h.first_read_at_utc') }} as first_slot_utc,
    {{ slot('case when s.sensor_id is not null then a.last_read_at_utc else h.last_read_at_utc end') }} as last_slot_utc
from heard as h
inner join site_heard as a on h.site_id = a.site_id
left join {{ ref('sensors') }} as s on h.sensor_id = s.sensor_id
