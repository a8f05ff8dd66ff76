with numbered as (
    select
        *,
        row_number() over (partition by site_id, series_uid order by recorded_at_utc desc, journal_offset desc, accession_number) as newest_first
    from ({{ linked('stg_dicom__series', only_joined=false) }}) as s
)

select
    n.site_id,
    n.study_uid,
    n.series_uid,
    n.record_id,
    n.modality,
    n.image_type,
    n.accession_number,
    n.told_number,
    coalesce(n.is_phantom, false) as is_phantom,
    -- a patient's series: it belongs to an examination that the hospital knows
    not coalesce(n.is_phantom, false) and e.accession_number is not null as is_examination,
    coalesce(d.device_id, 'UNREGISTERED') as device_id,
    d.reason as device_doubt,
    n.station_name,
    n.device_serial,
    n.series_description,
    n.acquired_at_utc,
    n.recorded_at_utc,
    n.instance_count,
    s.time_zone,
    {{ local_day('coalesce(n.acquired_at_utc, n.recorded_at_utc)', 's.time_zone') }} as local_day
from numbered as n
inner join {{ ref('sites') }} as s on n.site_id = s.site_id
left join {{ ref('int_device__identity') }} as d
    on
        n.site_id = d.site_id and n.device_serial is not distinct from d.device_serial and n.station_name is not distinct from d.station_name
left join {{ ref('int_examination__known') }} as e on n.site_id = e.site_id and n.accession_number = e.accession_number
where n.newest_first = 1
