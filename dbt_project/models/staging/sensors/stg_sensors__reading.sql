with ranked as (
    select
        *,
        row_number() over (partition by site_id, sensor_id, quantity, read_at_utc order by recorded_at_utc desc, journal_offset desc) as newest_first
    from {{ source('lake', 'readings') }}
),

-- what a quantity cannot be is a fault, also in readings of before the doors refused it; a sensor's own row narrows its quantity's
bounded as (
    select
        r.*,
        r.value < coalesce(q.low, r.value) or r.value > coalesce(q.high, r.value)
        or r.value < coalesce(o.low, r.value) or r.value > coalesce(o.high, r.value) or coalesce(isnan(r.value), false) as is_impossible
    from ranked as r
    left join {{ ref('physical_ranges') }} as q on r.quantity = q.quantity and q.sensor_id is null
    left join {{ ref('physical_ranges') }} as o on r.quantity = o.quantity and r.sensor_id = o.sensor_id
    where r.newest_first = 1
)

select
    site_id,
    event_id,
    room_id,
    sensor_id,
    quantity,
    case when not coalesce(is_impossible, false) then value end as value,
    unit,
    case when quality = 'good' and coalesce(is_impossible, false) then 'invalid' else quality end as quality,
    {{ utc('read_at_utc') }} as read_at_utc,
    {{ utc('recorded_at_utc') }} as recorded_at_utc
from bounded
