-- The latest value of each device among the devices of the same vendor and model, tested by the same procedure with the same kind of phantom,
-- on all campuses. Robust z = (value - median) / (1.4826 MAD), the device itself included; the spread is never below the chart's floor.
with charts as (
    select *, row_number() over (partition by procedure, measure order by version desc) as newest_first
    from {{ ref('drift_charts') }}
    where subject_kind = 'device' and valid_from <= cast({{ as_of() }} as date)
),

measured as (
    select
        m.site_id, m.device_id, d.manufacturer, d.model, m.procedure, m.measure, m.detector, m.region, m.method, m.method_version,
        m.phantom_type, m.run_key, m.acquired_at_utc as measured_at_utc, m.value, m.unit, c.peer_z, c.sigma_floor, c.min_shift,
        row_number() over (
            partition by m.site_id, m.device_id, m.procedure, m.measure, m.detector, m.region order by m.acquired_at_utc desc, m.run_key
        ) as latest_first
    from {{ ref('int_phantom__measure') }} as m
    inner join {{ ref('devices') }} as d on m.site_id = d.site_id and m.device_id = d.device_id
    inner join charts as c on m.procedure = c.procedure and m.measure = c.measure and c.newest_first = 1
    where
        m.is_current and m.status = 'measured' and coalesce(m.phantom_state, 'valid') = 'valid' and m.value is not null and not isnan(m.value)
        and m.acquired_at_utc < {{ as_of() }} and d.manufacturer is not null and d.model is not null
),

latest as (
    select
        *,
        md5(
            manufacturer || '|' || model || '|' || procedure || '|' || measure || '|' || coalesce(detector, '') || '|' || coalesce(region, '') || '|'
            || coalesce(method, '') || '|' || coalesce(method_version, '') || '|' || coalesce(phantom_type, '')
        ) as peer_group
    from measured
    where latest_first = 1
),

middles as (
    select peer_group, median(value) as middle, count(*) - 1 as peers from latest group by peer_group
),

spreads as (
    select l.peer_group, 1.4826 * median(abs(l.value - m.middle)) as spread
    from latest as l
    inner join middles as m on l.peer_group = m.peer_group
    group by l.peer_group
),

placed as (
    select
        l.*, m.peers,
        case when m.peers >= 3 then round(m.middle, 6) end as peer_median,
        case when m.peers >= 3 then round(greatest(s.spread, l.sigma_floor), 6) end as peer_spread,
        case when m.peers >= 3 then round((l.value - m.middle) / greatest(s.spread, l.sigma_floor), 3) end as robust_z
    from latest as l
    inner join middles as m on l.peer_group = m.peer_group
    inner join spreads as s on l.peer_group = s.peer_group
),

final as (
    select
        *,
        case when peers < 3 then 'too_few' when abs(robust_z) > peer_z then 'outlier' else 'among' end as position,
        coalesce(abs(value - peer_median) >= min_shift, false) as matters,
        case
            when peers < 3 then {{ because('peer.too_few') }}
            when abs(robust_z) > peer_z
                then
                    {{ because('peer.outlier', {'value': rounded('value'), 'median': rounded('peer_median'), 'unit': 'unit', 'peers': 'peers',
                        'z': rounded('robust_z'), 'limit': rounded('peer_z')}) }}
        end as reason
    from placed
)

{{ contracted('final') }}
