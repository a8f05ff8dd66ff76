-- Slots are expected between a sensor's first reading and as_of (see int_environment__sensor_span); hours that begin after as_of are shown
-- as they come, and nothing is expected of them.
with expected as (
    select
        site_id, room_id, quantity, sensor_id, first_slot_utc, last_slot_utc,
        {{ each_hour("date_trunc('hour', first_slot_utc)", "date_trunc('hour', last_slot_utc)") }} as hour_utc
    from {{ ref('int_environment__sensor_span') }}
),

expected_hours as (
    select
        site_id, room_id, quantity, hour_utc,
        min(sensor_id) as sensor_id,
        -- slots of the hour that lie inside the sensor's span
        max(
            1 + cast({{ seconds_between(
                "case when first_slot_utc > hour_utc then first_slot_utc else hour_utc end",
                "case when last_slot_utc < " ~ plus_minutes('hour_utc', 50) ~ " then last_slot_utc else " ~ plus_minutes('hour_utc', 50) ~ " end"
            ) }} as integer) / 600
        ) as slots_expected
    from expected
    group by site_id, room_id, quantity, hour_utc
),

received as (
    select
        site_id, room_id, quantity, date_trunc('hour', slot_utc) as hour_utc,
        min(sensor_id) as sensor_id,
        max(unit) as unit,
        min(value_min) as value_min,
        -- rounded: in which order threads add is not fixed, and a rebuild must give equal rows
        round(sum(value_sum) / sum(readings), 6) as value_mean,
        max(value_max) as value_max,
        count(distinct slot_utc) as slots_received
    from {{ ref('int_environment__slot') }}
    group by site_id, room_id, quantity, date_trunc('hour', slot_utc)
),

hours as (
    select
        coalesce(e.site_id, r.site_id) as site_id,
        coalesce(e.room_id, r.room_id) as room_id,
        coalesce(e.quantity, r.quantity) as quantity,
        coalesce(e.hour_utc, r.hour_utc) as hour_utc,
        coalesce(e.sensor_id, r.sensor_id) as sensor_id,
        r.unit,
        r.value_min,
        r.value_mean,
        r.value_max,
        coalesce(e.slots_expected, 0) as slots_expected,
        coalesce(r.slots_received, 0) as slots_received
    from expected_hours as e
    full outer join received as r
        on e.site_id = r.site_id and e.room_id = r.room_id and e.quantity = r.quantity and e.hour_utc = r.hour_utc
),

dated as (
    select h.*, coalesce(h.unit, n.unit) as known_unit, {{ local_day('h.hour_utc', 's.time_zone') }} as local_day
    from hours as h
    inner join {{ ref('sites') }} as s on h.site_id = s.site_id
    left join {{ ref('sensors') }} as n on h.sensor_id = n.sensor_id
),

days as (
    select distinct room_id, quantity, local_day from dated
),

limits_in_force as (
    select
        d.room_id, d.quantity, d.local_day, l.limit_id, l.version, l.low, l.high,
        row_number() over (
            partition by d.room_id, d.quantity, d.local_day
            order by case when l.room_id is not null then 1 else 0 end desc, l.version desc, l.valid_from desc, l.limit_id
        ) as best_first
    from days as d
    inner join {{ ref('environment_limits') }} as l
        on
            d.quantity = l.quantity and (l.room_id is null or l.room_id = d.room_id)
            and l.valid_from <= d.local_day and (l.valid_until is null or l.valid_until >= d.local_day)
),

final as (
    select
        d.site_id, d.room_id, d.quantity, d.hour_utc, d.local_day, d.sensor_id, d.known_unit as unit, d.value_min, d.value_mean, d.value_max,
        d.slots_expected, d.slots_received,
        case when d.slots_expected > 0 then 100.0 * least(d.slots_received, d.slots_expected) / d.slots_expected end as completeness_percent,
        l.low as limit_low, l.high as limit_high, l.version as limit_version,
        {{ verdict('d.value_mean', "'measured'", 'null', 'null', 'l.low', 'l.high') }} as verdict,
        case
            when d.value_mean is null then {{ because('sensor.no_good_reading') }}
            when l.limit_id is null then {{ because('verdict.no_limit') }}
            when d.value_mean < l.low or d.value_mean > l.high
                then
                    {{ because('room.mean_outside', {'value': rounded('d.value_mean'), 'unit': 'd.known_unit',
                        'limit': limit_text('l.low', 'l.high', 'd.known_unit')}) }}
        end as reason
    from dated as d
    left join limits_in_force as l
        on d.room_id = l.room_id and d.quantity = l.quantity and d.local_day = l.local_day and l.best_first = 1
)

{{ contracted('final') }}
